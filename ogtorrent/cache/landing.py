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

from ogtorrent.errors import NotWritable
from ogtorrent.files import sync_directory
from ogtorrent.layout import Root
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.session import Torrent, places

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>


def prepare(root: Root, wanted: Metainfo) -> Path:
    """The path to download to, cleared of what is not of this image. Raises NotWritable."""
    partial, final = root.partial(wanted.image), root.image(wanted.image)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        if partial.is_symlink() or (partial.exists() and partial.is_dir() is not wanted.is_directory):
            _remove(partial)
        if not wanted.is_directory:
            if partial.exists() and final.exists() and partial.samefile(final):
                partial.unlink()  # a landing was cut between its steps; the image stands
        elif partial.exists():
            _remove_strangers(partial, {Path(path) for path in places(wanted, partial)})
        for path, file in zip(places(wanted, partial), wanted.files, strict=True):
            if Path(path).is_file() and Path(path).stat().st_size > file.length:
                os.truncate(path, file.length)
    except OSError as error:
        raise NotWritable(partial, error.strerror or str(error)) from error
    return partial


async def land(root: Root, torrent: Torrent) -> None:
    """Make the download durable, give it its times and its final name. Raises NotWritable, DiskTrouble."""
    wanted = torrent.metainfo
    partial, final = root.partial(wanted.image), root.image(wanted.image)
    await torrent.flushed()
    try:
        await asyncio.to_thread(make_durable, wanted, partial)
        if not wanted.is_directory and not final.is_dir():
            # Two names of one file for a moment, so that whoever asks this seat for a piece finds
            # it under either, and libtorrent's move (rename(2) between the two) does nothing.
            aside = partial.with_name(partial.name + ".landing")
            aside.unlink(missing_ok=True)
            os.link(partial, aside)
            aside.replace(final)
            sync_directory(final.parent)
            await torrent.rename(final)
            partial.unlink()
        else:
            # Directories have no second name: nobody may ask during the exchange.
            torrent.pause()
            if final.exists():
                _exchange(partial, final)
            else:
                partial.rename(final)
            sync_directory(final.parent)
            if partial.exists():
                _remove(partial)  # the old image, after the new one stands
            await torrent.rename(final)
            torrent.resume()
    except OSError as error:
        raise NotWritable(final, error.strerror or str(error)) from error


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
            if Path(directory, name) not in wanted:
                Path(directory, name).unlink()
        for name in folders:
            if Path(directory, name).is_symlink():
                Path(directory, name).unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
