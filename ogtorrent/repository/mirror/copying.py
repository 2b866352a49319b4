"""Copy an image to where it grows: blocks shared where the file system can, else by the kernel, else by hand.

What is on the disk is noted beside it time and again, so that a copy that was cut goes on from there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ogtorrent.files import remove, write_whole
from ogtorrent.repository.publish import Contents

CHUNK = 8 * 2**20  # bytes
SAFE = 32 * CHUNK  # bytes between two notes
_FICLONE = 0x40049409  # <linux/fs.h>
_OTHERWISE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class SourceFailed(Exception):
    """The image cannot be read where it comes from."""


class Stopped(Exception):
    """The server ends."""


class Copying:
    """`run` in a thread; `done` (bytes) and `stop` are for the others meanwhile."""

    def __init__(self, seen: Contents, image: Path, partial: Path, version: str) -> None:
        self._seen, self._image, self._partial, self._version = seen, image, partial, version
        self._note = partial.with_suffix(".safe")
        self.targets = [partial / path.relative_to(image) for path in seen.paths]
        self.done = self._noted()
        self._stopped = False
        self._in_kernel = True  # until it says otherwise

    def stop(self) -> None:
        self._stopped = True

    def progress(self, _: int) -> None:
        """While the copy is hashed. Raises Stopped."""
        if self._stopped:
            raise Stopped

    def shares_disk(self) -> bool:
        """Whether blocks may be shared, which takes no room."""
        with contextlib.suppress(OSError):
            return self._image.stat().st_dev == self._partial.parent.stat().st_dev
        return False

    def forget(self) -> None:
        remove(self._note)
        remove(self._partial)

    def run(self) -> None:
        """Raises OSError, NotWritable, SourceFailed, Stopped."""
        if not self.done:
            self.forget()
        self._partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._copy_all()
        finally:
            with contextlib.suppress(FileNotFoundError):  # nothing has come
                self._make_safe([path for path in self.targets if path.exists()])

    def _copy_all(self) -> None:
        start, safe = 0, self.done
        for source, target, file, mtime in zip(
            self._seen.paths, self.targets, self._seen.files, self._seen.mtimes, strict=True
        ):
            end = start + file.length
            if self.done < end or not file.length:
                target.parent.mkdir(parents=True, exist_ok=True)
                safe = self._copy(source, target, start, end, safe)
            os.utime(target, ns=(mtime, mtime))
            start = end

    def _copy(self, source: Path, target: Path, start: int, end: int, safe: int) -> int:
        """Copy what is missing of one file; how far it is safe then."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with _reading(source) as reader, os.fdopen(os.open(target, flags, 0o666), "r+b", 0) as writer:
            if self.done == start and _cloned(reader, writer.fileno()):
                self.done = end
            while self.done < end:
                if self._stopped:
                    raise Stopped
                self.done += self._chunk(reader, writer.fileno(), self.done - start, end - self.done)
                if self.done - safe >= SAFE:
                    self._make_safe([target])
                    safe = self.done
            os.fsync(writer.fileno())
        return safe

    def _chunk(self, reader: int, writer: int, offset: int, left: int) -> int:
        count = min(CHUNK, left)
        copied = 0
        if self._in_kernel:
            try:
                copied = os.copy_file_range(reader, writer, count, offset, offset)
            except OSError as error:
                if error.errno not in (*_OTHERWISE, errno.EIO, errno.ESTALE):
                    raise
                self._in_kernel = False  # by hand it is known which of the two has failed
        if not copied:
            try:
                data = os.pread(reader, count, offset)
            except OSError as error:
                raise SourceFailed(error.strerror) from error
            if not data:
                raise SourceFailed(os.strerror(errno.ESTALE))  # it was longer when it was seen
            copied = os.pwrite(writer, data, offset)
        return copied

    def _make_safe(self, files: list[Path]) -> None:
        for path in files:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        write_whole(self._note, json.dumps({"version": self._version, "copied": self.done}).encode())

    def _noted(self) -> int:
        """Bytes that are on the disk of this version; those of a file that is shorter are not."""
        try:
            note = json.loads(self._note.read_bytes())
            copied = int(note["copied"]) if note["version"] == self._version else 0
            start = 0
            for target, file in zip(self.targets, self._seen.files, strict=True):
                wanted = max(0, min(file.length, copied - start))
                if wanted and (target.is_symlink() or target.stat().st_size < wanted):
                    return 0
                start += file.length
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        return copied if 0 <= copied <= self._seen.size else 0


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SourceFailed(error.strerror) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _cloned(reader: int, writer: int) -> bool:
    try:
        fcntl.ioctl(writer, _FICLONE, reader)
    except OSError:
        return False
    return True
