"""Where a new image may find pieces of itself on this PC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ogtorrent.cache import versions
from ogtorrent.cache.inventory import cached, inventory
from ogtorrent.cache.order import Order
from ogtorrent.swarm.metainfo import Metainfo


def standing(order: Order) -> Iterator[tuple[Path, Metainfo]]:
    """What stands on the disk that was named, then in the cache, the versions before first, the last one
    even if it was touched."""
    root, image = order.root, order.metainfo.image
    if order.disk is not None:
        yield order.disk, order.metainfo
    before = cached(root, image).beside
    if before is not None:
        yield root.image(image), before
    kept = versions.previous(root, image)
    if kept is not None:
        yield root.previous(image), kept
    for other, metainfo in inventory(order.cache):
        if (other, metainfo.image) != (root, image):
            yield other.image(metainfo.image), metainfo


def guess(order: Order) -> Path | None:
    """What stands under the image's name, unless its hashes have told all."""
    before = cached(order.root, order.metainfo.image)
    told = before.beside is not None and before.beside.piece_length == order.metainfo.piece_length
    return None if told and before.described and not order.metainfo.is_directory else order.place
