"""Why a fill failed, as its owner is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ogtorrent.cache.inventory import cached
from ogtorrent.cache.options import Protocol
from ogtorrent.cache.order import Order
from ogtorrent.cache.partition import room
from ogtorrent.cache.plan import RESERVE
from ogtorrent.errors import (
    CacheFull,
    CannotJoin,
    CorruptImage,
    DiskGone,
    NotWritable,
    OgtorrentError,
    UpdateFailed,
)
from ogtorrent.swarm.sight import Progress
from ogtorrent.swarm.torrent import DiskTrouble, Torrent, places
from ogtorrent.words import words


def nobody(order: Order, torrent: Torrent, progress: Progress, patience: float) -> OgtorrentError:
    """When no byte came for `patience` seconds."""
    image = str(order.metainfo.image)
    if order.verify:
        return CorruptImage(
            image,
            words(
                "{damaged} bytes do not verify and nobody sends them",
                damaged=progress.size - progress.done,
            ),
            words("Verify it again when the repository serves, or bring its previous version back."),
        )
    if order.protocol is Protocol.UNICAST:
        return CannotJoin(
            words("the unicast session of {image!r}", image=image),
            torrent.web_trouble or words("no byte came for {seconds:.0f} s", seconds=patience),
            words("Check that the repository serves; what came is kept, and the next run goes on."),
        )
    if order.disk is not None:
        return _disk_failed(order, order.disk, progress)
    heard = torrent.tracker_trouble and words(
        "; the tracker said: {sentence}", sentence=torrent.tracker_trouble
    )
    return CannotJoin(
        words("the swarm of {image!r}", image=image),
        words(
            "no byte came for {seconds:.0f} s from {peers} peers{heard}",
            seconds=patience,
            peers=progress.peers,
            heard=heard,
        ),
        words("Run this again: the repository may have published another version meanwhile.")
        if torrent.is_refused
        else words(
            "Check that the repository serves and that its peer port is not blocked; what came is kept, "
            "and the next run goes on from there."
        ),
    )


def _disk_failed(order: Order, disk: Path, progress: Progress) -> OgtorrentError:
    try:
        there = all(Path(path).exists() for path in places(order.metainfo, disk))
    except OSError:
        there = False
    if not there:
        return DiskGone(disk)
    return CorruptImage(
        str(order.metainfo.image),
        words(
            "{damaged} bytes of {path} are not what its .torrent says, and nobody sends them",
            damaged=progress.size - progress.done,
            path=disk,
        ),
        words("Write the image and its .torrent anew onto the disk; what verified is kept."),
    )


def in_our_words(order: Order, trouble: DiskTrouble | NotWritable | OSError) -> OgtorrentError:
    image = str(order.metainfo.image)
    if isinstance(trouble, OSError):
        trouble = NotWritable.of(Path(trouble.filename or order.place), trouble)
    what = str(trouble).removesuffix(".")
    missing = order.metainfo.size - cached(order.root, order.metainfo.image).partial
    free = room(order.cache)[0]
    match trouble.code:
        case errno.EDQUOT:
            return CacheFull(image, max(0, missing), free)
        case errno.ENOSPC if missing > free or free < RESERVE:
            return CacheFull(image, max(0, missing), free)
        case errno.ENOSPC:  # a disk that has less than its file system says
            return UpdateFailed(
                image,
                os.strerror(errno.ENOSPC),
                words("Check the cache's disk; the next run goes on from there."),
            )
        case errno.EIO:
            return CorruptImage(image, what, words("The cache's disk has errors; check it."))
        case _ if isinstance(trouble, NotWritable):
            return trouble
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return NotWritable(Path(trouble.path), what)
        case _:
            return UpdateFailed(
                image, what, words("Check the cache's disk; the next run goes on from there.")
            )
