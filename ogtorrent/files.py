"""Files that are whole or not there: written aside, made durable, renamed; by one process at a time."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ogtorrent.errors import NotWritable

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>


@contextlib.contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[bool]:
    """One process at a time, however it ends. False where another has it and `wait` is not wanted.

    Raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, like: os.stat_result | None = None) -> None:
    """Put `content` under `path` in one step; what stood there stays until then. Raises NotWritable.

    `like`: whose owner and mode it gets.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            if like is not None:
                if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), like.st_mode & 0o7777)
            os.fsync(file.fileno())
        aside.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise NotWritable.of(path, error) from error


def remove_cut(path: Path) -> None:
    """Take away what a `write_whole` left that was killed; nobody may write there now. Raises OSError."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if left.name.removesuffix(".tmp").rpartition(".")[2].isdecimal():
            left.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchanged(one: Path | str, other: Path | str, above: int = _AT_FDCWD) -> bool:
    """renameat2(RENAME_EXCHANGE): two names change places in one step; False where the file system cannot.

    `above`: the open directory that they are names in. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(above, os.fsencode(one), above, os.fsencode(other), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), str(other))
        return False
    return True


def exchange(one: Path, other: Path) -> None:
    """Two names change places, in one step where that can be had. Raises OSError."""
    if not exchanged(one, other):  # the other steps aside for an instant
        other.rename(aside(other))
        one.rename(other)
        aside(other).rename(one)


def aside(path: Path) -> Path:
    """Where `exchange` leaves what stood at `path`, if it was cut on a file system that cannot exchange."""
    return path.with_name(f".{path.name}.old")


def remove(path: Path) -> None:
    """Take away a file, link or tree; one that is not there is no matter. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
