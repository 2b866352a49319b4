"""A download is made safe while it comes: a power cut costs what came last, and no check of the rest.

By itself the kernel writes after half a minute, when a fast line has brought gigabytes. So, time
and again: ask libtorrent what it has handed to the kernel, wait until the disk has that, and only
then note it beside the download. What is not noted was never there, whatever the disk holds.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from ogtorrent.errors import NotWritable
from ogtorrent.files import sync_directory, write_whole
from ogtorrent.layout import Root
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.torrent import DiskTrouble, Torrent, places

# Bytes that come between two rounds: a third of what a cut may cost, for others come while a round
# is under way. Each costs the disk a few commits of its journal, a tenth of a second where it turns.
LEAST, PART = 10 * 2**20, 300
LOOK, LONGEST = 0.1, 5.0  # seconds between looks at what came, and between two rounds of a slow line


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
    wanted, safe, at, pause = torrent.metainfo, 0, 0.0, LOOK
    stride = max(LEAST, wanted.size // PART)
    try:
        while not ended.is_set():
            await _sleep(pause, ended)
            written = await torrent.written()
            began = time.monotonic()
            due = ended.is_set() or began - at > LONGEST
            if written is not None and written.done - safe >= (1 if due else stride):
                await asyncio.to_thread(_make_safe, root, wanted, written.state)
                safe, at = written.done, began
            # At most half of the time: a disk that is slower than the line has better things to do.
            pause = max(LOOK, time.monotonic() - began)
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
    with suppress(OSError):
        root.record(wanted.image).unlink(missing_ok=True)


async def _sleep(seconds: float, ended: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(ended.wait(), seconds)
    except TimeoutError:
        return


def _make_safe(root: Root, wanted: Metainfo, written: bytes) -> None:
    """Raises OSError, NotWritable."""
    inodes = []
    for path in places(wanted, root.partial(wanted.image)):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # no byte of it has come
            inodes.append(0)
            continue
        try:
            os.fdatasync(descriptor)
            inodes.append(os.fstat(descriptor).st_ino)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        finally:
            os.close(descriptor)
    record = {
        "version": wanted.info_hash.hex(),
        "inodes": inodes,
        "written": base64.b64encode(written).decode(),
    }
    write_whole(root.record(wanted.image), json.dumps(record).encode())


def on_disk(root: Root, wanted: Metainfo) -> bytes:
    """What the disk is known to hold of a download, for `Session.add`; empty where nothing is known.

    What is noted of another version, or of other files, is forgotten before this one writes over
    them. Raises OSError.
    """
    place = root.record(wanted.image)
    try:
        written = _read(json.loads(place.read_bytes()), wanted, root.partial(wanted.image))
    except FileNotFoundError:
        return b""
    except (ValueError, KeyError, TypeError):
        written = b""
    if not written:
        place.unlink()
        sync_directory(place.parent)
    return written


def _read(record: dict[str, Any], wanted: Metainfo, partial: Path) -> bytes:
    """Raises ValueError, KeyError, TypeError where the record is none."""
    paths, inodes = list(map(Path, places(wanted, partial))), list(record["inodes"])
    if record["version"] != wanted.info_hash.hex() or len(inodes) != len(paths):
        return b""
    for path, inode in zip(paths, inodes, strict=True):
        if inode and not (path.is_file() and path.stat().st_ino == inode):
            return b""
    return base64.b64decode(record["written"], validate=True)
