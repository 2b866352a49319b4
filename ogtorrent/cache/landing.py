"""Put a whole download under its final name, in one step, while it is being seeded.

What stands under the final name is at every instant the old image or the new one, whole.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import shutil
from pathlib import Path

from ogtorrent.files import sync_directory
from ogtorrent.layout import Root
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.torrent import Torrent, places

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>


def prepare(root: Root, wanted: Metainfo) -> Path:
    """The path to download to, cleared of what is not of this image. Raises OSError."""
    partial = root.partial(wanted.image)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if partial.is_symlink() or (partial.exists() and partial.is_dir() is not wanted.is_directory):
        _remove(partial)
    if partial.is_dir():
        _remove_strangers(partial, {Path(path) for path in places(wanted, partial)})
    for path, file in zip(places(wanted, partial), wanted.files, strict=True):
        if Path(path).is_file() and Path(path).stat().st_size > file.length:
            os.truncate(path, file.length)
    return partial


async def land(root: Root, torrent: Torrent) -> None:
    """Make the download durable, give it its times and its final name. Raises OSError, DiskTrouble."""
    wanted = torrent.metainfo
    partial, final = root.partial(wanted.image), root.image(wanted.image)
    await torrent.flushed()
    await asyncio.to_thread(make_durable, wanted, partial)
    # Its files have second names for the time of the move, so that whoever asks this seat for a
    # piece finds it, and libtorrent's own moves (rename(2) between two names of one file) do nothing.
    if await asyncio.to_thread(_link, wanted, partial, _alias(partial)):
        await torrent.rename(_alias(partial))
    if final.is_dir() or (wanted.is_directory and final.exists()):
        _exchange(partial, final)
    else:
        partial.replace(final)
    sync_directory(final.parent)
    await torrent.rename(final)


def tidy(root: Root, wanted: Metainfo) -> None:
    """Once the image stands, take away the old one, second names, an earlier download. Raises OSError."""
    partial = root.partial(wanted.image)
    for path in (partial, _alias(partial)):
        if os.path.lexists(path):
            _remove(path)


def _alias(partial: Path) -> Path:
    return partial.with_name(partial.name + ".landing")


def _link(wanted: Metainfo, partial: Path, alias: Path) -> bool:
    """Give every file of the download its second name; False where the file system has none to give."""
    if os.path.lexists(alias):  # a landing that was cut
        _remove(alias)
    try:
        for path, second in zip(places(wanted, partial), places(wanted, alias), strict=True):
            Path(second).parent.mkdir(parents=True, exist_ok=True)
            os.link(path, second)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
            return False
        raise
    return True


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
        except OSError:
            # The kernel holds what it could not write for written: who reads it again must see the disk.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            raise
        finally:
            os.close(descriptor)
        folders.add(Path(path).parent)
    for folder in folders:
        sync_directory(folder)


def _exchange(one: Path, other: Path) -> None:
    """renameat2(RENAME_EXCHANGE): two names change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        if code != errno.EINVAL:
            raise OSError(code, os.strerror(code), str(other))
        # A file system that cannot exchange: the old image steps aside for an instant.
        aside = other.with_name(f".{other.name}.old")
        other.rename(aside)
        one.rename(other)
        aside.rename(one)


def _remove_strangers(top: Path, wanted: set[Path]) -> None:
    for directory, folders, names in os.walk(top):
        for name in names:
            path = Path(directory, name)
            if path not in wanted or path.is_symlink():
                path.unlink()
        for name in folders:
            if Path(directory, name).is_symlink():
                Path(directory, name).unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
