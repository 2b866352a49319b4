"""What the ordinary BitTorrent clients share: torrents by mktorrent, and opentracker on the repository."""

import hashlib
from pathlib import Path
from urllib.parse import quote

from benchmarks.lesson import Image, Lesson

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


def publish(lesson: Lesson) -> None:
    """Make the torrents, start the tracker, and return when it answers."""
    repository = lesson.room.repository
    announce = f"http://{repository.address}:{PORT}/announce"
    exponent = str(piece_exponent(lesson.setting.size))
    for image in lesson.images:
        torrent = torrent_of(lesson, image)
        lesson.run(repository, ["mktorrent", "-a", announce, "-l", exponent, "-o", torrent, image.path])
    root = lesson.folder / "tracker"
    root.mkdir()
    hashes = [_info_hash(torrent_of(lesson, image)).hex() for image in lesson.images]
    (root / "whitelist").write_text("".join(f"{info_hash}\n" for info_hash in hashes))
    configuration = lesson.folder / "opentracker.conf"
    configuration.write_text(_CONFIGURATION.format(address=repository.address, port=PORT, root=root))
    lesson.start(repository, ["opentracker", "-f", configuration])
    # ctorrent, refused by a tracker that does not listen yet, asks again only when everybody has given up.
    probe = ["curl", "-sS", announce]
    lesson.until(lambda: repository.run(probe, check=False).returncode == 0, "the tracker answers")


def torrent_of(lesson: Lesson, image: Image) -> Path:
    return lesson.folder / f"{image.name}.torrent"


def until_seeded(lesson: Lesson) -> None:
    """Wait until the tracker knows the repository's client as a seed of every image."""
    repository = lesson.room.repository

    def seeded(image: Image) -> bool:
        escaped = quote(_info_hash(torrent_of(lesson, image)), safe="")
        scrape = ["curl", "-fsS", f"http://{repository.address}:{PORT}/scrape?info_hash={escaped}"]
        # The answer repeats the hash, which is no text.
        answer = repository.run(scrape, check=False, encoding="utf-8", errors="replace")
        return "8:completei1e" in answer.stdout

    lesson.until(lambda: all(map(seeded, lesson.images)), "the tracker knows the seed")


def _info_hash(torrent: Path) -> bytes:
    # mktorrent writes the keys in their order and nothing after `info`, which ends one byte before the file.
    metainfo = torrent.read_bytes()
    return hashlib.sha1(metainfo[metainfo.index(b"4:infod") + len("4:info") : -1]).digest()
