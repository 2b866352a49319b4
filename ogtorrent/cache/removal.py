"""Take an image out of a cache; what stands under a final name is whole until the name is gone."""

from __future__ import annotations

import os

from ogtorrent.cache import events, landing, versions
from ogtorrent.cache.inventory import Holding, Kind
from ogtorrent.cache.plan import Fetch, InPlace
from ogtorrent.files import remove, sync_directory
from ogtorrent.layout import ImagePath, Root, Sidecar


def making_room(step: Fetch | InPlace, free: int) -> events.MakingRoom:
    """What is said of it before it happens; `free` in bytes."""
    return events.MakingRoom(
        step.needed,
        free,
        [str(holding.image) for holding in step.evict if holding.kind is Kind.IMAGE],
        [str(holding.image) for holding in step.evict if holding.kind is Kind.PREVIOUS],
        isinstance(step, InPlace),
    )


def evict(holding: Holding) -> None:
    """Raises OSError."""
    if holding.kind is Kind.PREVIOUS:
        versions.drop(holding.root, holding.image)
    else:
        remove_image(holding.root, holding.image)


def remove_image(root: Root, image: ImagePath) -> None:
    """With its sidecars, its previous version and an unfinished download. Raises OSError."""
    place, partial = root.image(image), root.partial(image)
    for kind in Sidecar:
        if kind is not Sidecar.LOCK:  # that is of whoever writes there
            root.sidecar(image, kind).unlink(missing_ok=True)
    versions.drop(root, image)
    landing.tidy(root, image)
    if os.path.lexists(place):
        place.rename(partial)  # a tree goes file by file
        sync_directory(place.parent)
        remove(partial)
