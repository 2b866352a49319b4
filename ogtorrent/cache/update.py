"""UpdateCache: bring one image from a repository into the cache of this PC."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ogtorrent.cache import absence, adoption, control, events, overlays, partition
from ogtorrent.cache.control import Seeder
from ogtorrent.cache.inventory import cached, holdings
from ogtorrent.cache.options import FAIL, Full, Mode, TorrentOptions, Way
from ogtorrent.cache.order import Order
from ogtorrent.cache.overlays import Applying
from ogtorrent.cache.plan import Plan, Room, plan
from ogtorrent.errors import OgtorrentError, OverlayFailed, RepositoryUnreachable
from ogtorrent.fetch import catalogue
from ogtorrent.fetch.server import DEFAULT_PORT, Server
from ogtorrent.layout import ImagePath, Mirror, Root, cache_root
from ogtorrent.swarm.metainfo import Metainfo


@dataclass(frozen=True)
class Origin:
    """Where an image is from: the repository `HOST[:PORT]`, and what this PC has or knows of it besides.

    `disk`: where a disk of this PC has it; only what does not verify there is asked for. `known`: what it
    is, in which tree, where the repository has no catalogue to ask.
    """

    server: str
    disk: Path | None = None
    known: tuple[Mirror, Metainfo] | None = None


def update(
    origin: Origin,
    image: ImagePath,
    directory: Path | None,
    way: Way,
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
    repository = Server.parse(origin.server)
    seeder = Seeder(cache, address)
    seeder.start()
    name = _host() if name is None else name
    told: list[events.Event] = []
    applying = overlays.Applying()
    if origin.known is not None:
        mirror, wanted = origin.known
        root = cache_root(cache, mirror)
    else:
        root, wanted, told = _wanted(repository, image, cache)
        if not told:
            applying = overlays.ask(repository, image, root.mirror, name, address)
    # The tracker that this seat can reach comes first, whatever name the repository has for itself.
    trackers = dict.fromkeys((repository.announce, *wanted.trackers))
    order = Order(
        cache,
        root,
        wanted,
        way.options,
        tuple(trackers),
        repository,
        verify,
        name,
        full,
        protocol=way.protocol,
        session=way.session,
        disk=origin.disk,
    )
    return itertools.chain(told, _with_overlays(seeder.update(order), applying, order, seeder))


def _with_overlays(
    happens: Iterator[events.Event], applying: Applying, order: Order, seeder: Seeder
) -> Iterator[events.Event]:
    """The image is done when what is laid over it is."""
    for event in happens:
        if isinstance(event, events.Done):
            try:
                yield from overlays.bring(applying, order, seeder)
            except OverlayFailed as error:
                yield events.Failed(str(error), error.exit_code)
                return
        yield event


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
    other = adoption.elsewhere(cache, root, offer.metainfo)
    return plan(offer.metainfo, cached(root, image), room, verify, full=full, elsewhere=other), room


def verify(cache: Path, root: Root, known: Metainfo, address: str) -> Iterator[events.Event]:
    """Read an image of the cache and mend it, from whoever its metainfo names. Events as those of `update`.

    Call it before any thread is started: it may fork.
    """
    seeder = Seeder(cache, address)
    seeder.start()
    options = TorrentOptions(Mode.PEER, 0)
    repository = _repository(known)
    return seeder.update(Order(cache, root, known, options, known.trackers, repository, True, _host(), FAIL))


def _repository(known: Metainfo) -> Server:
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
