"""What this cache has to lay over an image."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.cache.inventory import standing_image
from ogtorrent.errors import AmbiguousImage, CorruptImage
from ogtorrent.layout import ImagePath, Layer, overlay_roots
from ogtorrent.overlay.layers import Overlay, read
from ogtorrent.words import words


def standing(cache: Path, image: ImagePath, client: str | None) -> list[Overlay]:
    """What `update-cache` brought, in the order in which it is laid over; no other client's than `client`.

    Raises CorruptImage, and AmbiguousImage where a cache that somebody filled by hand has several clients'.
    """
    found = []
    for root in overlay_roots(cache):
        here = list(root.overlays_of(image))
        if root.layer is Layer.CLIENT and client is not None:
            here = [overlay for overlay in here if overlay.parts[0] == client]
        if len(here) > 1:
            raise AmbiguousImage(str(image), [root.image(overlay) for overlay in here])
        for overlay in here:
            assert root.layer is not None
            if standing_image(root, overlay) is None:
                raise CorruptImage(
                    root.called(overlay), words("it is not whole here"), words("Run update-cache again.")
                )
            found.append(read(root.layer, overlay.parts[0], root.image(overlay)))
    return found
