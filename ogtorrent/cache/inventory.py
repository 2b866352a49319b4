"""What stands in a cache, answered from names, sizes, times and sidecars: no image is read."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from ogtorrent.cache import records, versions
from ogtorrent.layout import ImagePath, Root, Sidecar, cache_roots, name_in
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.sidecars import metainfo_of


@dataclass(frozen=True)
class Cached:
    """What a cache has of one image."""

    stands: bool  # something has its final name
    beside: Metainfo | None  # the metainfo beside it
    described: bool  # and it describes what stands there
    partial: int  # bytes on disk of a download that has not ended
    previous: Metainfo | None = None  # of the version before, where one is kept whole
    standing: int = 0  # bytes on disk of what has the final name
    is_directory: bool = False  # that is


def cached(root: Root, image: ImagePath) -> Cached:
    place = root.image(image)
    beside = metainfo_of(root, image)
    described = beside is not None and beside.describes(place)
    return Cached(
        place.exists(),
        beside,
        described,
        allocated(root.partial(image)),
        versions.previous(root, image),
        allocated(place),
        place.is_dir(),
    )


def inventory(cache: Path) -> Iterator[tuple[Root, Metainfo]]:
    """Every whole image of a cache."""
    for root in cache_roots(cache):
        for image in root.torrent_images():
            whole = standing_image(root, image)
            if whole is not None:
                yield root, whole


def standing_image(root: Root, image: ImagePath) -> Metainfo | None:
    """The metainfo of an image that stands whole."""
    beside = metainfo_of(root, image)
    return beside if beside is not None and beside.describes(root.image(image)) else None


class Kind(IntEnum):
    """What may give up its room, the first first."""

    PREVIOUS = 0  # the version before one that stands: goes without a question
    IMAGE = 1


@dataclass(frozen=True)
class Holding:
    """Something in a cache whose room could be had."""

    kind: Kind
    root: Root
    image: ImagePath
    size: int  # bytes on disk
    used: tuple[int, float]  # in the order of last use; the least goes first
    pinned: bool = False
    seeded: bool = False  # somebody takes it from us right now

    @property
    def place(self) -> Path:
        return self.root.previous(self.image) if self.kind is Kind.PREVIOUS else self.root.image(self.image)


def holdings(
    cache: Path, wanted: Path, taking: Mapping[str, int], busy: Collection[str]
) -> Iterator[Holding]:
    """What could go so that an image finds room at `wanted`: every previous version, and every other image
    that its metainfo could bring again. `taking` and `busy` are names relative to the cache."""
    known = records.read(cache)
    for root in cache_roots(cache):
        for image in root.hidden():
            kept = root.previous(image)
            if os.path.lexists(kept) and name_in(cache, root.image(image)) not in busy:
                yield Holding(Kind.PREVIOUS, root, image, allocated(kept), (0, kept.lstat().st_ctime))
        for image in root.torrent_images():
            place = root.image(image)
            name = name_in(cache, place)
            if place == wanted or name in busy or not place.exists() or metainfo_of(root, image) is None:
                continue
            record = known[name]
            yield Holding(
                Kind.IMAGE,
                root,
                image,
                allocated(place),
                (
                    record.turn,
                    root.sidecar(image, Sidecar.TORRENT).stat().st_mtime,
                ),  # what was never used: since it was brought
                record.pinned,
                taking.get(name, 0) > 0,
            )


def allocated(path: Path) -> int:
    """Bytes that a file or tree takes on disk; holes take none."""
    if not path.is_dir():
        return path.lstat().st_blocks * 512 if path.is_file() else 0
    return sum(
        Path(directory, name).lstat().st_blocks * 512
        for directory, _, names in os.walk(path)
        for name in names
    )
