"""What the ordinary BitTorrent clients share: a torrent by mktorrent, and opentracker on the repository."""

import hashlib
from pathlib import Path
from urllib.parse import quote

from benchmarks.lesson import Lesson

PROGRAMS = {"mktorrent": "mktorrent", "opentracker": "opentracker", "curl": "curl"}
PORT = 6969

# Debian's opentracker serves listed torrents only, will not stay root, and reads its list in its new root.
_CONFIGURATION = """\
listen.tcp {address}:{port}
access.whitelist whitelist
tracker.rootdir {root}
tracker.user nobody
"""


def piece_exponent(size: int) -> int:
    """256 pieces an image, of a power of two from 256 KiB to 16 MiB: 1 MiB for an image of 256 MiB."""
    return min(24, max(18, (size // 256).bit_length() - 1))


def publish(lesson: Lesson) -> Path:
    """Make the torrent, start the tracker, and return the torrent's path."""
    repository = lesson.room.repository
    torrent = torrent_of(lesson)
    torrent.unlink(missing_ok=True)
    announce = f"http://{repository.address}:{PORT}/announce"
    exponent = str(piece_exponent(lesson.image.stat().st_size))
    lesson.run(repository, ["mktorrent", "-a", announce, "-l", exponent, "-o", torrent, lesson.image])
    root = lesson.folder / "tracker"
    root.mkdir()
    (root / "whitelist").write_text(f"{_info_hash(torrent).hex()}\n")
    configuration = lesson.folder / "opentracker.conf"
    configuration.write_text(_CONFIGURATION.format(address=repository.address, port=PORT, root=root))
    lesson.start(repository, ["opentracker", "-f", configuration])
    return torrent


def torrent_of(lesson: Lesson) -> Path:
    return lesson.folder / f"{lesson.image.name}.torrent"


def until_seeded(lesson: Lesson) -> None:
    """Wait until the tracker knows the repository's client as a seed."""
    repository = lesson.room.repository
    escaped = quote(_info_hash(torrent_of(lesson)), safe="")
    scrape = ["curl", "-fsS", f"http://{repository.address}:{PORT}/scrape?info_hash={escaped}"]

    def seeded() -> bool:
        # The answer repeats the hash, which is no text.
        answer = repository.run(scrape, check=False, encoding="utf-8", errors="replace")
        return "8:completei1e" in answer.stdout

    lesson.until(seeded, "the tracker knows the seed")


def _info_hash(torrent: Path) -> bytes:
    # mktorrent writes the keys in their order and nothing after `info`, which ends one byte before the file.
    metainfo = torrent.read_bytes()
    return hashlib.sha1(metainfo[metainfo.index(b"4:infod") + len("4:info") : -1]).digest()
