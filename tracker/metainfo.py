"""What the tracker needs to know of one `.torrent` file (BEP 3, BEP 52), read without trusting it."""

import os
import stat
from dataclasses import dataclass
from hashlib import sha1, sha256
from pathlib import Path

from tracker.bencode import MalformedError, Walk
from tracker.request import InfoHash

LARGEST_FILE = 64 * 1024 * 1024


class UnusableTorrentError(ValueError):
    """A `.torrent` file that cannot be published, and why."""


@dataclass(frozen=True, slots=True)
class Torrent:
    """What clients announce and how big it is. Sizes in bytes.

    `info_hashes` holds the SHA-1 of the info dictionary, its truncated SHA-256 (BEP 52), or both for a
    hybrid torrent. A hybrid's two hashes name one swarm, so that a PC counts once; the first is its name.
    """

    info_hashes: tuple[InfoHash, ...]
    size: int
    piece_length: int


def read_torrent(path: Path) -> Torrent:
    """Read a regular file of at most LARGEST_FILE bytes; raises UnusableTorrentError or OSError."""
    # O_NONBLOCK: what was a file a moment ago may be a pipe now, and opening a pipe waits for its writer.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnusableTorrentError("it is not a regular file")
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise UnusableTorrentError(f"it is larger than {LARGEST_FILE // 1024**2} MiB")
    try:
        return parse_torrent(data)
    except MalformedError as error:
        raise UnusableTorrentError(f"it is not a torrent: {error}") from error


def parse_torrent(data: bytes) -> Torrent:
    """Find the info dictionary and hash its bytes as they stand; raises MalformedError."""
    for key, start, end in Walk(data).entries(0):
        if key == b"info":
            return _torrent(data[start:end])
    raise MalformedError("it has no info dictionary")


def _torrent(info: bytes) -> Torrent:
    walk = Walk(info)
    at = {
        key: start
        for key, start, _ in walk.entries(0)
        if key in (b"length", b"files", b"file tree", b"piece length", b"pieces", b"meta version")
    }
    if b"piece length" not in at:
        raise MalformedError("its info has no piece length")
    piece_length = walk.integer(at[b"piece length"])
    if piece_length <= 0:
        raise MalformedError("its piece length is not positive")
    version_2 = b"meta version" in at and walk.integer(at[b"meta version"]) == 2
    hashes = []
    if b"pieces" in at:
        hashes.append(InfoHash(sha1(info).digest()))
    if version_2:
        hashes.append(InfoHash(sha256(info).digest()[:20]))
    if not hashes:
        raise MalformedError("its info has neither pieces nor meta version 2")
    return Torrent(tuple(hashes), _size(walk, at), piece_length)


def _size(walk: Walk, at: dict[bytes, int]) -> int:
    # A hybrid's file list is padded to whole pieces; its file tree has the files alone.
    if b"file tree" in at:
        return sum(map(_positive, walk.integers(at[b"file tree"], b"length")))
    if b"files" in at:
        return sum(_size_of_file(walk, item) for item in walk.items(at[b"files"]))
    if b"length" in at:
        return _positive(walk.integer(at[b"length"]))
    raise MalformedError("its info has no length, files or file tree")


def _size_of_file(walk: Walk, start: int) -> int:
    length = None
    padding = False
    for key, value, _ in walk.entries(start):
        if key == b"length":
            length = _positive(walk.integer(value))
        elif key == b"attr":
            padding = b"p" in walk.string(value)[0]
    if length is None:
        raise MalformedError("one of its files has no length")
    # Nobody downloads padding (BEP 47).
    return 0 if padding else length


def _positive(length: int) -> int:
    if length < 0:
        raise MalformedError("one of its lengths is negative")
    return length
