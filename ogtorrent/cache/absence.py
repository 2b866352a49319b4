"""What a seat can go on with when the repository does not answer: an image whose metainfo it has from it."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.cache.order import Order
from ogtorrent.fetch.server import Server
from ogtorrent.files import write_whole
from ogtorrent.layout import ImagePath, Root, Sidecar, cache_roots
from ogtorrent.swarm import forms
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.sidecars import metainfo_of


def note(order: Order) -> None:
    """Keep what is wanted, and from whom, beside the download. Raises NotWritable."""
    wanted = forms.with_trackers(order.metainfo, order.trackers)
    write_whole(order.root.wanted(wanted.image), wanted.raw)


def unfinished(cache: Path, image: ImagePath, repository: Server) -> tuple[Root, Metainfo] | None:
    """An image that is on its way from this repository into the cache.

    Nobody in the room is asked what it consists of, for nobody there can be believed. What stands whole is
    not unfinished: whether it is the newest version only the repository knows.
    """
    for root in cache_roots(cache):
        notes = [root.wanted(image)]
        if not root.image(image).exists():
            notes.append(root.sidecar(image, Sidecar.TORRENT))  # another seat's, copied here by hand
        for path in notes:
            wanted = metainfo_of(root, image, path)
            if wanted is not None and wanted.stamp is not None and repository.announce in wanted.trackers:
                return root, wanted
    return None
