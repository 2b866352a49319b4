"""Which bytes of other images may be pieces of a new one. Pure; whoever copies them checks each piece.

By content: an image with pieces of the same length has those whose hash is wanted, wherever they stand. By
place: files that keep their path keep most of what stands at the same offset, which no hash tells
beforehand where the length of the pieces has changed, where nothing describes the old image, or where a
file of a directory has moved within the stream that the pieces cut.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.torrent import places


@dataclass(frozen=True)
class Part:
    """Bytes of one file."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True)
class Copy:
    """A piece that `parts`, in a row, may make."""

    piece: int
    parts: tuple[Part, ...]


class Stream:
    """The files of an image that stands at a place, in a row, as pieces cut them."""

    def __init__(self, metainfo: Metainfo, image: Path) -> None:
        self._metainfo = metainfo
        self._paths = [Path(path) for path in places(metainfo, image)]
        self._starts = [0, *accumulate(file.length for file in metainfo.files)]

    def piece(self, index: int) -> tuple[Part, ...]:
        start = index * self._metainfo.piece_length
        end = min(start + self._metainfo.piece_length, self._metainfo.size)
        return tuple(self._parts(start, end))

    def _parts(self, start: int, end: int) -> Iterator[Part]:
        number = bisect_right(self._starts, start) - 1  # files of no bytes start where the next one does
        while start < end:
            stop = min(end, self._starts[number + 1])
            if stop > start:
                yield Part(self._paths[number], start - self._starts[number], stop - start)
            start, number = stop, number + 1


def by_content(wanted: Metainfo, standing: Iterable[tuple[Path, Metainfo]]) -> list[Copy]:
    """Copies from images that stand at those places, each piece from the first that has it."""
    missing: dict[bytes, list[int]] = {}
    for index, digest in enumerate(wanted.hashes()):
        missing.setdefault(digest, []).append(index)
    found = []
    for image, old in standing:
        if old.piece_length == wanted.piece_length:
            stream = Stream(old, image)
            for index, digest in enumerate(old.hashes()):
                pieces = missing.get(digest, ())
                if pieces and old.length_of(index) == wanted.length_of(pieces[0]):
                    parts = stream.piece(index)
                    found += [Copy(piece, parts) for piece in missing.pop(digest)]
        if not missing:
            break
    return sorted(found, key=lambda copy: copy.piece)


def by_place(wanted: Metainfo, image: Path, lengths: Sequence[int], without: Collection[int]) -> list[Copy]:
    """Copies from the same offsets of the same files below `image`, of every piece but `without`.

    `lengths`: of each wanted file, what stands there: bytes.
    """
    stream = Stream(wanted, image)
    have = dict(zip(map(Path, places(wanted, image)), lengths, strict=True))
    found = []
    for index in range(wanted.pieces):
        if index not in without:
            parts = stream.piece(index)
            if all(part.offset + part.length <= have[part.path] for part in parts):
                found.append(Copy(index, parts))
    return found
