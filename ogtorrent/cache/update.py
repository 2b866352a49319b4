"""UpdateCache: bring one image from a repository into the cache of this PC."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ogtorrent.cache import absence, control, events, partition
from ogtorrent.cache.control import Seeder
from ogtorrent.cache.inventory import cached, holdings
from ogtorrent.cache.options import FAIL, Full, Mode, TorrentOptions
from ogtorrent.cache.order import Order
from ogtorrent.cache.plan import Plan, Room, plan
from ogtorrent.errors import OgtorrentError, RepositoryUnreachable
from ogtorrent.fetch import catalogue
from ogtorrent.fetch.server import DEFAULT_PORT, Server
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
    full: Full,
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
        _host() if name is None else name,
        full,
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


def rehearse(
    server: str, image: ImagePath, directory: Path | None, verify: bool, full: Full
) -> tuple[Plan, Room]:
    """What `update` would do first, and nothing of it. Raises OgtorrentError."""
    cache = partition.find(directory)
    offer = catalogue.ask(Server.parse(server), image)
    root = cache_root(cache, offer.mirror)
    tending = control.look(cache) or control.Tending({}, {}, {}, [])
    held = holdings(cache, root.image(image), tending.taking, {*tending.filling, *tending.held})
    room = Room(*partition.room(cache), list(held))
    return plan(offer.metainfo, cached(root, image), room, verify, full=full), room


def verify(cache: Path, root: Root, known: Metainfo, address: str) -> Iterator[events.Event]:
    """Read an image of the cache and mend it, from whoever its metainfo names. Events as those of `update`.

    Call it before any thread is started: it may fork.
    """
    seeder = Seeder(cache, address)
    seeder.start()
    options = TorrentOptions(Mode.PEER, 0)
    origin = _origin(known)
    return seeder.update(Order(cache, root, known, options, known.trackers, origin, True, _host(), FAIL))


def _origin(known: Metainfo) -> Server:
    for tracker in known.trackers:
        try:
            url = urlsplit(tracker)
            if url.scheme == "http" and url.hostname:
                return Server.parse(f"[{url.hostname}]:{url.port or 80}")
        except (ValueError, OgtorrentError):
            continue
    return Server("127.0.0.1", DEFAULT_PORT, "127.0.0.1")  # where a repository of this very PC would be


def _host() -> str:
    return socket.gethostname().partition(".")[0]
