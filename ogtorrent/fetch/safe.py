"""A download is made safe while it comes: a power cut costs what came last, and no check of the rest.

By itself the kernel writes after half a minute, when a fast line has brought gigabytes. So, time
and again: ask libtorrent what it has handed to the kernel, wait until the disk has that, and only
then note it beside the download. What is not noted was never there, whatever the disk holds.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ogtorrent.errors import NotWritable
from ogtorrent.files import sync_directory, write_whole
from ogtorrent.layout import Root
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.torrent import DiskTrouble, Torrent, places

# Bytes that come between two rounds: a third of what a cut may cost, for others come while a round
# is under way. Each costs the disk a few commits of its journal, a tenth of a second where it turns;
# the longer a round takes, the more the next one has to write, so a slow disk has few of them.
LEAST, PART = 8 * 2**20, 300
LOOK, LONGEST = 0.1, 5.0  # seconds between looks at what came, and between two rounds of a slow line

_GETVERSION = 0x80087601  # FS_IOC_GETVERSION of <linux/fs.h>
_NO_FILE = [0, 0, 0]


@asynccontextmanager
async def kept_safe(root: Root, torrent: Torrent) -> AsyncIterator[None]:
    """Make a download safe for as long as it comes, and once more where it ends unfinished."""
    ended = asyncio.Event()
    rounds = asyncio.ensure_future(_rounds(root, torrent, ended))
    try:
        yield
    finally:
        ended.set()
        await rounds  # never given up: a round that is under way would write after us


async def _rounds(root: Root, torrent: Torrent, ended: asyncio.Event) -> None:
    """A disk that fails is told to whoever waits for the torrent."""
    wanted, safe, at = torrent.metainfo, 0, 0.0
    stride = max(LEAST, wanted.size // PART)
    try:
        pause = LOOK
        while not ended.is_set():
            await _sleep(pause, ended)
            pause = LOOK
            written = await torrent.written()
            began = time.monotonic()
            due = ended.is_set() or began - at > LONGEST
            if written is not None and written.done - safe >= (1 if due else stride):
                await asyncio.to_thread(_make_safe, root, wanted, written.state)
                safe, at, pause = written.done, began, 0.0  # others came meanwhile
    except DiskTrouble:  # whoever waits has heard
        _forget(root, wanted)
    except NotWritable as trouble:
        _forget(root, wanted)
        torrent.fail(trouble)
    except OSError as error:
        _forget(root, wanted)
        torrent.fail(DiskTrouble(error.errno or errno.EIO, str(error.filename), str(error.strerror)))


def _forget(root: Root, wanted: Metainfo) -> None:
    """A disk that is full takes no note of the last that came: the next run reads what is there."""
    with contextlib.suppress(OSError):
        root.record(wanted.image).unlink(missing_ok=True)


async def _sleep(seconds: float, ended: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(ended.wait(), seconds)
    except TimeoutError:
        return


def _make_safe(root: Root, wanted: Metainfo, written: bytes) -> None:
    """Raises OSError, NotWritable."""
    files = []
    for path in places(wanted, root.partial(wanted.image)):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # no byte of it has come
            files.append(_NO_FILE)
            continue
        try:
            os.fdatasync(descriptor)
            files.append(_identity(descriptor))
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        finally:
            os.close(descriptor)
    record = {
        "version": wanted.info_hash.hex(),
        "files": files,
        "written": base64.b64encode(written).decode(),
    }
    write_whole(root.record(wanted.image), json.dumps(record).encode())


def _identity(descriptor: int) -> list[int]:
    """Inode, its generation (0 where the file system has none), and size: inodes are used again."""
    status = os.fstat(descriptor)
    generation = bytearray(8)
    with contextlib.suppress(OSError):
        fcntl.ioctl(descriptor, _GETVERSION, generation)
    return [status.st_ino, int.from_bytes(generation, sys.byteorder), status.st_size]


def on_disk(root: Root, wanted: Metainfo) -> bytes:
    """What the disk is known to hold of a download, for `Session.add`; empty where nothing is known.

    What is noted of another version, or of other files, is forgotten before this one writes over
    them. Raises OSError.
    """
    place = root.record(wanted.image)
    if not place.exists():
        return b""
    try:
        written = _read(json.loads(place.read_bytes()), wanted, root.partial(wanted.image))
    except (OSError, ValueError, KeyError, TypeError):
        written = b""
    if not written:
        place.unlink()
        sync_directory(place.parent)
    return written


def _read(record: dict[str, Any], wanted: Metainfo, partial: Path) -> bytes:
    """Raises OSError where a file is none, ValueError, KeyError, TypeError where the record is none."""
    paths, files = list(places(wanted, partial)), list(record["files"])
    if record["version"] != wanted.info_hash.hex() or len(files) != len(paths):
        return b""
    for path, (inode, generation, size) in zip(paths, files, strict=True):
        if inode:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                now = _identity(descriptor)
            finally:
                os.close(descriptor)
            if now[:2] != [inode, generation] or now[2] < size:
                return b""
    return base64.b64decode(record["written"], validate=True)
