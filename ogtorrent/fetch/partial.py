"""A download beside the image that it is to be: hidden, on the same file system."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ogtorrent.files import remove, sync_directory
from ogtorrent.layout import Root
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.torrent import places


def prepare(root: Root, wanted: Metainfo) -> Path:
    """The path to download to, cleared of what is not of this image. Raises OSError."""
    partial = root.partial(wanted.image)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if partial.is_symlink() or (partial.exists() and partial.is_dir() is not wanted.is_directory):
        remove(partial)
    if partial.is_dir():
        _remove_strangers(partial, {Path(path) for path in places(wanted, partial)})
    for path, file in zip(places(wanted, partial), wanted.files, strict=True):
        if Path(path).is_file() and Path(path).stat().st_size > file.length:
            os.truncate(path, file.length)
        if Path(path).is_file():
            _forget_unwritten(path)
    return partial


def make_durable(wanted: Metainfo, image: Path) -> None:
    """Give an image that stands at `image` its times, and wait until the disk has it. Raises OSError."""
    assert wanted.stamp is not None  # the catalogue takes no other
    folders = set()
    for path, mtime in zip(places(wanted, image), wanted.stamp.mtimes, strict=True):
        Path(path).touch()  # a file of no bytes may not have been made
        os.utime(path, ns=(mtime, mtime))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        folders.add(Path(path).parent)
    for folder in folders:
        sync_directory(folder)


def _forget_unwritten(path: str) -> None:
    """Have the file read from the disk: what the kernel could not write it holds for written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # that is missing, then, and fetched again
            os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _remove_strangers(top: Path, wanted: set[Path]) -> None:
    for directory, folders, names in os.walk(top):
        for name in names:
            path = Path(directory, name)
            if path not in wanted or path.is_symlink():
                path.unlink()
        for name in folders:
            if Path(directory, name).is_symlink():
                Path(directory, name).unlink()
