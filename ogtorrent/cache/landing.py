"""Put a whole download under its final name, in one step, while it is being seeded.

What stands under the final name is at every instant the old image or the new one, whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path

from ogtorrent.cache import versions
from ogtorrent.errors import NotWritable
from ogtorrent.fetch.partial import make_durable
from ogtorrent.files import exchange, remove, remove_cut, sync_directory
from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.torrent import Torrent, places

log = logging.getLogger(__name__)


async def land(root: Root, torrent: Torrent) -> None:
    """Make the download durable, give it its times and its final name. Raises OSError, DiskTrouble."""
    wanted = torrent.metainfo
    partial, final = root.partial(wanted.image), root.image(wanted.image)
    await torrent.flushed()
    await asyncio.to_thread(make_durable, wanted, partial)
    # Its files have second names for the time of the move, so that whoever asks this seat for a
    # piece finds it, and libtorrent's own moves (rename(2) between two names of one file) do nothing.
    if await asyncio.to_thread(versions.link, wanted, partial, _alias(partial)):
        await torrent.rename(_alias(partial))
    await asyncio.to_thread(_keep_old, root, wanted.image)
    if final.is_dir() or (wanted.is_directory and final.exists()):
        exchange(partial, final)
    else:
        partial.replace(final)
    sync_directory(final.parent)
    await torrent.rename(final)


def tidy(root: Root, image: ImagePath) -> None:
    """Once the image stands, take away the old one, second names, an earlier download. Raises OSError."""
    partial = root.partial(image)
    notes = root.record(image), root.wanted(image)
    for path in (partial, _alias(partial), *notes):
        remove(path)
    for path in (*notes, *(root.sidecar(image, kind) for kind in Sidecar)):
        remove_cut(path)


def step_aside(root: Root, wanted: Metainfo) -> None:
    """Make the old image the download that the new one grows in, so that what they share need not come.

    Raises OSError.
    """
    partial, final = root.partial(wanted.image), root.image(wanted.image)
    for kind in (Sidecar.TORRENT, Sidecar.TAIL_SUM, Sidecar.FULL_SUM):
        root.sidecar(wanted.image, kind).unlink(missing_ok=True)
    tidy(root, wanted.image)
    versions.drop(root, wanted.image)
    final.rename(partial)
    sync_directory(final.parent)


def _keep_old(root: Root, image: ImagePath) -> None:
    if root.layer is not None:  # an overlay is what the repository says it is
        return
    try:
        versions.keep(root, image)
    except (OSError, NotWritable) as error:  # a full disk, perhaps: the new one is worth more
        log.warning("%s: its old version is not kept: %s", root.image(image), error)
        with contextlib.suppress(OSError):
            versions.drop(root, image)


def _alias(partial: Path) -> Path:
    return partial.with_name(partial.name + ".landing")


def doubt(wanted: Metainfo, image: Path) -> None:
    """Damage was found: from now on no size and time may say that it is whole. Raises OSError."""
    for path in places(wanted, image):
        if Path(path).exists():
            os.utime(path)
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)  # before the disk has the first byte that is written over it
            finally:
                os.close(descriptor)
            return
