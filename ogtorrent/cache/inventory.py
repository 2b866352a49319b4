"""What stands in a cache, answered from names, sizes, times and sidecars: no image is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import BadName, HostileMetainfo
from ogtorrent.layout import ImagePath, Root, Sidecar, cache_roots
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import Metainfo


@dataclass(frozen=True)
class Cached:
    """What a cache has of one image."""

    stands: bool  # something has its final name
    beside: Metainfo | None  # the metainfo beside it
    described: bool  # and it describes what stands there
    partial: int  # bytes on disk of a download that has not ended


def cached(root: Root, image: ImagePath) -> Cached:
    place = root.image(image)
    beside = _beside(root, image)
    described = beside is not None and beside.describes(place)
    return Cached(place.exists(), beside, described, _allocated(root.partial(image)))


def _beside(root: Root, image: ImagePath) -> Metainfo | None:
    try:
        beside = metainfo.read(root.sidecar(image, Sidecar.TORRENT))
    except (OSError, HostileMetainfo):
        return None
    return beside if (beside.name, beside.image) == (root.mirror.name, image) else None


def inventory(cache: Path) -> Iterator[tuple[Root, Metainfo]]:
    """Every whole image of a cache."""
    for root in cache_roots(cache):
        for torrent in root.torrents():
            try:
                image = root.image_of_torrent(torrent)
            except BadName:
                continue
            whole = standing_image(root, image)
            if whole is not None:
                yield root, whole


def standing_image(root: Root, image: ImagePath) -> Metainfo | None:
    """The metainfo of an image that stands whole."""
    beside = _beside(root, image)
    return beside if beside is not None and beside.describes(root.image(image)) else None


def _allocated(path: Path) -> int:
    """Bytes that a file or tree takes on disk; holes take none."""
    if not path.is_dir():
        return path.lstat().st_blocks * 512 if path.is_file() else 0
    return sum(
        Path(directory, name).lstat().st_blocks * 512
        for directory, _, names in os.walk(path)
        for name in names
    )
