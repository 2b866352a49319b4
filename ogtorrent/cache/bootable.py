"""The menu of a cache that boots by itself follows the images."""

from __future__ import annotations

import logging
from pathlib import Path

from ogtorrent.cache.inventory import inventory
from ogtorrent.errors import OgtorrentError
from ogtorrent.layout import offline_home
from ogtorrent.offline import grub

log = logging.getLogger(__name__)


def images(cache: Path) -> list[str]:
    """What a menu offers: every whole image, each name once."""
    return sorted({root.called(whole.image) for root, whole in inventory(cache)})


def refresh(cache: Path) -> None:
    """An image has come or gone. Where the menu cannot follow, `offline-status` says that it is old."""
    if not (offline_home(cache) / grub.MENU).exists():
        return
    from ogtorrent.offline.make import show  # most caches do without

    try:
        show(cache, images(cache))
    except (OgtorrentError, OSError) as error:
        log.warning("the menu of %s is old: %s", cache, error)
