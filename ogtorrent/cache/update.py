"""UpdateCache: bring one image from a repository into the cache of this PC."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from ogtorrent.cache import catalogue, events, partition
from ogtorrent.cache.control import Seeder
from ogtorrent.cache.options import TorrentOptions
from ogtorrent.cache.order import Order
from ogtorrent.cache.server import Server
from ogtorrent.layout import ImagePath, cache_root


def update(
    server: str,
    image: ImagePath,
    directory: Path | None,
    options: TorrentOptions,
    address: str,
    verify: bool,
    name: str | None,
) -> Iterator[events.Event]:
    """Begin, and return the events to come, the last one Done or Failed. Raises OgtorrentError.

    `name` is what the repository's page calls this PC; its host name where it is None.

    Call it before any thread is started: it may fork.
    """
    cache = partition.find(directory)
    repository = Server.parse(server)
    seeder = Seeder(cache, address)
    seeder.start()
    offer = catalogue.ask(repository, image)
    # The tracker that this seat can reach comes first, whatever name the repository has for itself.
    trackers = dict.fromkeys((repository.announce, *offer.metainfo.trackers))
    order = Order(
        cache,
        cache_root(cache, offer.mirror),
        offer.metainfo,
        options,
        tuple(trackers),
        repository,
        verify,
        socket.gethostname().partition(".")[0] if name is None else name,
    )
    return seeder.update(order)
