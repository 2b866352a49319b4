"""What the owner of a cache sees of it, and does with it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.cache import bootable, control, overlays, records, removal, versions
from ogtorrent.cache.inventory import Cached, cached
from ogtorrent.cache.records import Record
from ogtorrent.errors import AmbiguousImage, BadName, ImagePinned, NotInCache, NotWritable
from ogtorrent.layout import ImagePath, Root, cache_roots, name_in, overlay_roots
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.words import words


@dataclass(frozen=True)
class Item:
    """An image of which anything is in a cache."""

    root: Root
    image: ImagePath
    name: str  # its place relative to the cache
    found: Cached
    record: Record


def stock(cache: Path) -> Iterator[Item]:
    known = records.read(cache)
    for root in (*cache_roots(cache), *overlay_roots(cache)):
        images = {*root.images(), *root.hidden(), *root.torrent_images()}
        for image in sorted(images):
            found = cached(root, image)
            name = name_in(cache, root.image(image))
            if found.stands or found.partial or found.previous:
                yield Item(root, image, name, found, known[name])


def find(cache: Path, name: str) -> tuple[Root, ImagePath]:
    """An image as the repository names it, or by its path. Raises BadName, NotInCache, AmbiguousImage."""
    places = []
    for root in cache_roots(cache):
        try:
            image = root.locate(Path(name)) if name.startswith("/") else ImagePath.parse(name)
        except BadName:
            if name.startswith("/"):  # it is below another root
                continue
            raise
        if any(map(os.path.lexists, (root.image(image), root.partial(image), root.previous(image)))):
            places.append((root, image))
    if not places:
        raise NotInCache(
            words("the image {image!r}", image=name), words("`ogtorrent cache list` shows what it holds.")
        )
    if len(places) > 1:
        raise AmbiguousImage(name, [root.image(image) for root, image in places])
    return places[0]


def remove(cache: Path, names: Sequence[str], force: bool) -> None:
    """All of them or, where one is pinned and not `force`d, none.

    Raises NotInCache, AmbiguousImage, ImagePinned, ImageLocked, NotWritable.
    """
    images = [find(cache, name) for name in names]
    known = records.read(cache)
    for root, image in images:
        if known[name_in(cache, root.image(image))].pinned and not force:
            raise ImagePinned(str(image))
    for root, image in images:
        with control.held(cache, root, image), _writing(root, image):
            removal.remove_image(root, image)
        overlays.remove_all(cache, root, image)
        with contextlib.suppress(NotWritable):  # it is gone, whatever is remembered of it
            records.forget(cache, name_in(cache, root.image(image)))
    bootable.refresh(cache)


def rollback(cache: Path, name: str) -> Metainfo:
    """The version that stands now. Raises NotInCache, AmbiguousImage, ImageLocked, NotWritable."""
    root, image = find(cache, name)
    with control.held(cache, root, image), _writing(root, image):
        stands = versions.rollback(root, image)
    with contextlib.suppress(NotWritable):
        records.use(cache, name_in(cache, root.image(image)), time.time())
    return stands


def pin(cache: Path, names: Sequence[str], pinned: bool) -> None:
    """Raises NotInCache, AmbiguousImage, NotWritable."""
    for root, image in [find(cache, name) for name in names]:
        records.pin(cache, name_in(cache, root.image(image)), pinned)


@contextlib.contextmanager
def _writing(root: Root, image: ImagePath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritable.of(Path(error.filename or root.image(image)), error) from error
