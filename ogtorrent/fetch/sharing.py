"""Pieces of a new image that this machine has already: found, copied beside the old ones, and verified.

Each piece is read where it stands and hashed before it is taken, so the swarm can be told that we have it
and nobody reads it again. Where the file system can, its blocks are shared, not copied.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import random
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from ogtorrent.fetch.delta import Copy, Part, Stream, by_content, by_place
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.torrent import places

log = logging.getLogger(__name__)

# A guess by place costs a read of the old image: it must pay. A quarter of what is read is brought as soon
# as by a line four times as slow as the disk.
SAMPLE, WORTH = 16, 4
_FICLONERANGE = 0x4020940D  # <linux/fs.h>
_CANNOT_CLONE = (errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.ENOSYS)


class Sharing:
    """`run` in a thread; `stop` and `shared` are for the others meanwhile."""

    def __init__(
        self, wanted: Metainfo, partial: Path, standing: Iterable[tuple[Path, Metainfo]], guess: Path | None
    ) -> None:
        """`standing`: images to take pieces from. `guess`: one whose hashes do not tell what it has."""
        self._wanted = wanted
        self._standing = standing
        self._guess = guess
        self._hashes = wanted.hashes()
        self._resumed = any(Path(path).exists() for path in places(wanted, partial))
        self._target = Stream(wanted, partial)
        self._unsized = {
            Path(path): file.length for path, file in zip(places(wanted, partial), wanted.files, strict=True)
        }
        self._buffer = memoryview(bytearray(wanted.piece_length))
        self._zeros = hashlib.sha1(bytes(wanted.piece_length), usedforsecurity=False).digest()
        self._clones = True  # until the file system says otherwise
        self._unreadable: set[Path] = set()
        self._stopped = False
        self.shared = 0  # bytes

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> frozenset[int]:
        """The pieces that the partial has now, where it had nothing before; else none: it is to be checked.

        Raises OSError where the partial cannot be written.
        """
        copies = by_content(self._wanted, self._until_stopped())
        taken = self._take(copies)
        taken |= self._take(self._guessed({copy.piece for copy in copies}))
        log.info("%s: %d of %d pieces are here already", self._wanted.image, len(taken), self._wanted.pieces)
        return frozenset() if self._resumed else frozenset(taken)

    def _until_stopped(self) -> Iterator[tuple[Path, Metainfo]]:
        return takewhile(lambda _: not self._stopped, self._standing)

    def _guessed(self, known: set[int]) -> list[Copy]:
        """Copies by place, where a sample says that they pay."""
        if self._guess is None:
            return []
        lengths = [_length(Path(path)) for path in places(self._wanted, self._guess)]
        guesses = by_place(self._wanted, self._guess, lengths, known)
        sample = random.sample(guesses, min(SAMPLE, len(guesses)))
        right = sum(self._stands(copy.parts, copy.piece) is not None for copy in sample)
        return guesses if right * SAMPLE >= WORTH * len(sample) > 0 else []

    def _take(self, copies: Sequence[Copy]) -> set[int]:
        taken = set()
        for copy in copies:
            if self._stopped:
                break
            if self._take_one(copy):
                taken.add(copy.piece)
                self.shared += self._wanted.length_of(copy.piece)
        return taken

    def _take_one(self, copy: Copy) -> bool:
        target = self._target.piece(copy.piece)
        if self._resumed and self._stands(target, copy.piece) is not None:
            return True
        if self._hashes[copy.piece] == self._zeros and not self._resumed:
            for part in target:
                self._write(part, self._buffer[:0])  # a hole
            return True
        data = self._stands(copy.parts, copy.piece)
        if data is None:
            return False
        if not (self._clones and self._clone(copy.parts, target)):
            start = 0
            for part in target:
                self._write(part, data[start : start + part.length])
                start += part.length
        return True

    def _stands(self, parts: Sequence[Part], piece: int) -> memoryview | None:
        """The bytes there, if they are that piece; until the next call."""
        data = self._buffer[: self._wanted.length_of(piece)]
        start = 0
        for part in parts:
            if not self._read(part, data[start : start + part.length]):
                return None
            start += part.length
        return data if hashlib.sha1(data, usedforsecurity=False).digest() == self._hashes[piece] else None

    def _read(self, part: Part, data: memoryview) -> bool:
        if part.path in self._unreadable:
            return False
        try:
            # What stands there may be a pipe, which nobody would write to.
            descriptor = os.open(part.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            return self._gave_up(part.path, error)
        try:
            return os.preadv(descriptor, [data], part.offset) == part.length
        except OSError as error:
            return self._gave_up(part.path, error)
        finally:
            os.close(descriptor)

    def _gave_up(self, path: Path, error: OSError) -> bool:
        log.warning("%s: %s; what it has is fetched", path, error.strerror)
        self._unreadable.add(path)
        return False

    def _write(self, part: Part, data: memoryview) -> None:
        with self._opened(part.path) as descriptor:
            written = 0
            while written < len(data):
                written += os.pwrite(descriptor, data[written:], part.offset + written)

    def _clone(self, parts: Sequence[Part], target: Sequence[Part]) -> bool:
        """Share the blocks; False where they cannot be."""
        if [part.length for part in parts] != [part.length for part in target]:
            return False
        try:
            for part, to in zip(parts, target, strict=True):
                with part.path.open("rb") as file, self._opened(to.path) as descriptor:
                    span = struct.pack("qQQQ", file.fileno(), part.offset, part.length, to.offset)
                    fcntl.ioctl(descriptor, _FICLONERANGE, span)
        except OSError as error:
            if error.errno not in (errno.EINVAL, *_CANNOT_CLONE):
                raise
            self._clones = error.errno == errno.EINVAL  # then it is this range that fits no blocks
            return False
        return True

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        """A file of the partial, in its full length."""
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
        try:
            length = self._unsized.pop(path, None)
            if length is not None:
                os.ftruncate(descriptor, length)
            yield descriptor
        finally:
            os.close(descriptor)


def _length(path: Path) -> int:
    """Bytes of a regular file; none of anything else."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
