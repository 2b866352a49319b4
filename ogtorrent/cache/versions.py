"""The version of an image before the one that stands: whole, hidden, never seeded, and the first to go.

    .previous/windows.img                   the version before
    .previous/windows.img.torrent           its metainfo; without it the version counts for nothing
    .previous/windows.img.torrent.leaving   while two versions change places: of the one that is put away

A file has its metainfo on the disk all the time, under one name or another, so that `settle` can tell from
sizes and times how far a change of places came that was cut.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path

from ogtorrent.errors import NotInCache, NotWritable
from ogtorrent.files import aside, exchange, remove, remove_cut, sync_directory, write_whole
from ogtorrent.layout import ImagePath, Root, Sidecar, cache_roots
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.sidecars import metainfo_of, write_sidecars, write_sums
from ogtorrent.swarm.torrent import places
from ogtorrent.words import words

log = logging.getLogger(__name__)


def previous(root: Root, image: ImagePath) -> Metainfo | None:
    """The metainfo of the previous version, where one stands whole."""
    return _described(root, image, root.previous_torrent(image), root.previous(image))


def keep(root: Root, image: ImagePath) -> None:
    """Give what stands the previous version's name as its second one. Raises OSError, NotWritable.

    Where nothing describes what stands, or the file system knows no second names, none is kept.
    """
    drop(root, image)
    standing = _described(root, image, root.sidecar(image, Sidecar.TORRENT), root.image(image))
    if standing is None:
        return
    kept = root.previous(image)
    kept.parent.mkdir(exist_ok=True)
    if link(standing, root.image(image), kept):
        sync_directory(kept.parent)
        write_whole(root.previous_torrent(image), standing.raw)


def drop(root: Root, image: ImagePath) -> None:
    """Take the previous version away. Raises OSError."""
    for path in (root.previous_torrent(image), root.leaving_torrent(image), root.previous(image)):
        remove(path)
    with contextlib.suppress(OSError):  # others are kept there, or nothing ever was
        root.previous(image).parent.rmdir()


def rollback(root: Root, image: ImagePath) -> Metainfo:
    """Let the previous version and the one that stands change places; the version that stands then.

    What no metainfo describes cannot be told from damage, and is thrown away in exchange. Nobody may use the
    image meanwhile. Raises NotInCache, OSError, NotWritable.
    """
    settle(root, image)
    back = previous(root, image)
    if back is None:
        raise NotInCache(
            words("a previous version of {image!r}", image=str(image)),
            words("One is kept when a new version has replaced it and there was room for both."),
        )
    place, torrent = root.image(image), root.sidecar(image, Sidecar.TORRENT)
    # No sidecar says at any instant what is not so: they go before the image does.
    if _described(root, image, torrent, place) is not None:
        torrent.rename(root.leaving_torrent(image))
    for kind in (Sidecar.TORRENT, Sidecar.TAIL_SUM, Sidecar.FULL_SUM):
        root.sidecar(image, kind).unlink(missing_ok=True)
    _sync(root, image)
    if os.path.lexists(place):
        exchange(root.previous(image), place)
    else:
        root.previous(image).rename(place)
    _sync(root, image)
    _finish(root, image, back)
    return back


def settle(root: Root, image: ImagePath) -> None:
    """Bring to its end, or back, what a power cut or a kill interrupted. Raises OSError, NotWritable."""
    place, kept, leaving = root.image(image), root.previous(image), root.leaving_torrent(image)
    for kind in (Sidecar.TORRENT, Sidecar.TAIL_SUM, Sidecar.FULL_SUM):
        remove_cut(root.sidecar(image, kind))
    remove_cut(root.previous_torrent(image))
    stepped_aside = aside(place)
    if os.path.lexists(stepped_aside):
        if not os.path.lexists(place):
            stepped_aside.rename(place)
        elif not os.path.lexists(kept) and kept.parent.is_dir():
            stepped_aside.rename(kept)
        else:
            remove(stepped_aside)
    if not kept.parent.is_dir():
        return
    before = metainfo_of(root, image, root.previous_torrent(image))
    going = metainfo_of(root, image, leaving)
    if going is not None and going.describes(place):  # it had not left yet
        write_sidecars(root, going)
        remove(leaving)
    elif before is not None and before.describes(place):  # they had changed places, or had been one
        _finish(root, image, before)
    elif before is None or not before.describes(kept):
        drop(root, image)
    else:
        remove(leaving)


def settle_all(cache: Path) -> None:
    """When nobody else uses the cache, as when its seeder begins."""
    for root in cache_roots(cache):
        for image in list(root.hidden()):
            try:
                settle(root, image)
            except (OSError, NotWritable) as error:
                log.warning("%s: %s", root.image(image), error)


def link(of: Metainfo, one: Path, second: Path) -> bool:
    """Give every file of an image a second name; False where the file system has none to give.

    Raises OSError.
    """
    remove(second)
    try:
        for path, name in zip(places(of, one), places(of, second), strict=True):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            os.link(path, name)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
            return False
        raise
    return True


def _finish(root: Root, image: ImagePath, stands: Metainfo) -> None:
    """The images have changed places; their metainfo follows."""
    write_sums(root, stands)
    torrent = root.sidecar(image, Sidecar.TORRENT)
    torrent.unlink(missing_ok=True)
    os.link(root.previous_torrent(image), torrent)  # also where the disk is full
    sync_directory(torrent.parent)
    if root.leaving_torrent(image).exists():
        root.leaving_torrent(image).replace(root.previous_torrent(image))
        sync_directory(root.previous(image).parent)
    else:
        drop(root, image)


def _sync(root: Root, image: ImagePath) -> None:
    sync_directory(root.image(image).parent)
    sync_directory(root.previous(image).parent)


def _described(root: Root, image: ImagePath, torrent: Path, place: Path) -> Metainfo | None:
    found = metainfo_of(root, image, torrent)
    return found if found is not None and found.describes(place) else None
