"""An image that stands in another tree of the cache, as when its repository has got another layout: it moves.

The metainfo's name and the image's path are the same in both trees, so it is the same image, and a rename
brings it. A download that has not ended moves likewise.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ogtorrent.cache import landing, records
from ogtorrent.cache.inventory import standing_image
from ogtorrent.errors import NotWritable
from ogtorrent.files import sync_directory
from ogtorrent.layout import ImagePath, Root, Sidecar, cache_roots, name_in
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.sidecars import metainfo_of, write_sidecars


def elsewhere(cache: Path, root: Root, wanted: Metainfo) -> Root | None:
    """Another tree of the cache where the image stands whole."""
    for other in _others(cache, root):
        place = other.image(wanted.image)
        found = None if place.is_symlink() else standing_image(other, wanted.image)
        if found is not None and found.info_hash == wanted.info_hash:
            return other
    return None


def adopt(cache: Path, other: Root, root: Root, wanted: Metainfo) -> None:
    """Move a whole image, of which `root` has nothing, with what is kept and known of it.

    Cut anywhere, it stands whole in one of the trees. Raises OSError, NotWritable.
    """
    image, place = wanted.image, root.image(wanted.image)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_sidecars(root, wanted)
    other.image(image).rename(place)
    sync_directory(place.parent)
    for kind in (Sidecar.TORRENT, Sidecar.TAIL_SUM, Sidecar.FULL_SUM):
        other.sidecar(image, kind).unlink(missing_ok=True)
    landing.tidy(other, image)
    for one, moved in (
        (other.previous(image), root.previous(image)),
        (other.previous_torrent(image), root.previous_torrent(image)),
    ):
        _bring(one, moved)
    _leave(other, image)
    with contextlib.suppress(NotWritable):  # the image stands, whatever is remembered of it
        records.move(cache, name_in(cache, other.image(image)), name_in(cache, place))


def adopt_unfinished(cache: Path, root: Root, wanted: Metainfo) -> None:
    """Go on with a download that was begun in another tree. Raises OSError."""
    image = wanted.image
    if os.path.lexists(root.partial(image)):
        return
    for other in _others(cache, root):
        begun = metainfo_of(other, image, other.wanted(image))
        if begun is not None and begun.info_hash == wanted.info_hash and other.partial(image).exists():
            for of in (Root.partial, Root.record, Root.wanted):
                _bring(of(other, image), of(root, image))
            _leave(other, image)
            return


def _others(cache: Path, root: Root) -> Iterator[Root]:
    """The trees in which an image may have the same metainfo."""
    for other in cache_roots(cache):
        if other.path != root.path and other.mirror.name == root.mirror.name:
            yield other


def _bring(one: Path, place: Path) -> None:
    if not os.path.lexists(one):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        one.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise


def _leave(other: Root, image: ImagePath) -> None:
    """Remove the folders that are empty now, but for the tree's own."""
    below = len(image.parts) - 1
    for folder in (other.previous(image).parent, *list(other.image(image).parents)[:below]):
        with contextlib.suppress(OSError):
            folder.rmdir()
