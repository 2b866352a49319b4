"""One name in a directory of the target: what stands there, and how something new takes its place."""

from __future__ import annotations

import os
import stat

from ogtorrent.files import exchanged
from ogtorrent.overlay.inside import status_of
from ogtorrent.overlay.manifest import LAYING
from ogtorrent.words import words

CHUNK = 1024 * 1024  # bytes


class Refused(Exception):
    """A path that is not laid, and why."""


def put(name: str, above: int, status: os.stat_result | None) -> None:
    """Give what was made its name. Raises OSError, Refused."""
    if status is not None and stat.S_ISDIR(status.st_mode):
        if exchanged(LAYING, name, above):
            try:
                os.rmdir(LAYING, dir_fd=above)
            except OSError:  # somebody has just put something there
                exchanged(LAYING, name, above)
                raise
            return
        os.rmdir(name, dir_fd=above)
    os.rename(LAYING, name, src_dir_fd=above, dst_dir_fd=above)


def clear(above: int) -> None:
    """Take away what a run left that was cut; there is one run at a time. Raises OSError."""
    status = status_of(LAYING, above)
    if status is None:
        return
    if stat.S_ISDIR(status.st_mode):
        os.rmdir(LAYING, dir_fd=above)
    else:
        os.unlink(LAYING, dir_fd=above)


def check_empty(name: str, above: int) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        if os.listdir(descriptor):  # noqa: PTH208
            raise Refused(words("a directory that is not empty stands there; remove it first"))
    finally:
        os.close(descriptor)


def leads(name: str, above: int, status: os.stat_result) -> str | None:
    return os.readlink(name, dir_fd=above) if stat.S_ISLNK(status.st_mode) else None


def link_look(name: str, above: int) -> tuple[str | None, int, int, int]:
    status = os.stat(name, dir_fd=above, follow_symlinks=False)
    return leads(name, above, status), status.st_uid, status.st_gid, status.st_mtime_ns


def same_bytes(one: int, other: int) -> bool:
    offset = 0
    while True:
        data = os.pread(one, CHUNK, offset)
        if data != os.pread(other, CHUNK, offset):
            return False
        if not data:
            return True
        offset += len(data)
