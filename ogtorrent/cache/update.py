"""UpdateCache: bring one image from a repository into the cache of this PC."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

from ogtorrent.cache import absence, catalogue, events, partition
from ogtorrent.cache.control import Seeder
from ogtorrent.cache.options import TorrentOptions
from ogtorrent.cache.order import Order
from ogtorrent.cache.server import Server
from ogtorrent.errors import RepositoryUnreachable
from ogtorrent.layout import ImagePath, Root, cache_root
from ogtorrent.swarm.metainfo import Metainfo


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
    root, wanted, told = _wanted(repository, image, cache)
    # The tracker that this seat can reach comes first, whatever name the repository has for itself.
    trackers = dict.fromkeys((repository.announce, *wanted.trackers))
    order = Order(
        cache,
        root,
        wanted,
        options,
        tuple(trackers),
        repository,
        verify,
        socket.gethostname().partition(".")[0] if name is None else name,
    )
    return itertools.chain(told, seeder.update(order))


def _wanted(repository: Server, image: ImagePath, cache: Path) -> tuple[Root, Metainfo, list[events.Event]]:
    """The image's root and metainfo, from the repository or, where it is silent, as it was before that."""
    try:
        offer = catalogue.ask(repository, image)
    except RepositoryUnreachable as silence:
        found = absence.unfinished(cache, image, repository)
        if found is None:
            raise
        return *found, [events.Alone(silence.server, silence.why)]
    return cache_root(cache, offer.mirror), offer.metainfo, []
