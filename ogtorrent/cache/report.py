"""What a seat tells the repository's server of itself and one image, as JSON. Pure.

The server's end is its `/api/v1/reports`; it passes over what it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from ogtorrent.cache import events
from ogtorrent.cache.order import Order
from ogtorrent.swarm.session import Work
from ogtorrent.swarm.sight import Sight

NEIGHBOURS = 16  # the busiest
PARTS = 48  # of the image, of which each is as rare as its rarest piece


@dataclass(frozen=True)
class Machine:
    """This PC; None is what it does not know."""

    port: int  # that others can connect to; 0 for none
    link: int | None  # Mbit/s
    cache_size: int | None
    cache_free: int | None


@dataclass(frozen=True)
class Moment:
    """What a session and a torrent, if there is one, had done when they were looked at."""

    at: float  # monotonic seconds
    work: Work
    sight: Sight | None


def report(
    order: Order, last: events.Event, done: int, machine: Machine, now: Moment, before: Moment | None
) -> dict[str, Any]:
    """`last`: what was told last of the fill; `done`: verified bytes; rates are those since `before`."""
    failed = last if isinstance(last, events.Failed) else None
    sight = now.sight
    disk_rate, disk_waits = _disk(now, before) if before else (None, None)
    if isinstance(last, events.Progress) and done == order.metainfo.size:
        disk_waits = 1.0  # all came, and the disk is still to have it
    download_rate, upload_rate = _rates(now, before) if before else (0, 0)
    return {
        "info_hash": order.metainfo.info_hash.hex(),
        "name": order.name,
        "doing": _doing(last),
        "done": done,
        "download_rate": download_rate,
        "upload_rate": upload_rate,
        "disk_rate": disk_rate,
        "disk_waits": disk_waits,
        "reachable": now.work.reached,
        "peers": len(sight.neighbours) if sight else 0,
        "neighbours": _neighbours(now, before)[:NEIGHBOURS] if before else [],
        "availability": _rarest(sight.availability) if sight else [],
        "error_code": failed.exit_code if failed else None,
        "error": failed.message if failed else "",
        **asdict(machine),
    }


def _disk(now: Moment, before: Moment) -> tuple[int | None, float]:
    """Bytes a second while it wrote, and the part of the time, 0 to 1, in which it did.

    A seat writes in one thread at most, which is the network's own where that is not fast. It writes to the
    kernel, which holds it up as soon as too much waits for the disk; then this is the disk's own rate.
    """
    writing = now.work.writing - before.work.writing
    taken = now.work.taken - before.work.taken
    return int(taken / writing) if writing > 0 and taken else None, min(1.0, writing / (now.at - before.at))


def _rates(now: Moment, before: Moment) -> tuple[int, int]:
    """Libtorrent's own rates lag five seconds behind; a port's limit would not show in time."""
    if now.sight is None:
        return 0, 0
    was = (before.sight.taken, before.sight.given) if before.sight else (0, 0)
    return _gained(now.sight.taken, was[0], now, before), _gained(now.sight.given, was[1], now, before)


def _gained(total: int, was: int, now: Moment, before: Moment) -> int:
    """Bytes a second; a total that is less than before began anew."""
    return int((total - was if total >= was else total) / (now.at - before.at))


def _doing(last: events.Event) -> str:
    match last:
        case events.Alone() | events.Started() | events.Checking() | events.MakingRoom():
            return "checking"
        case events.Progress() | events.Gathering() | events.BySwarm():
            return "filling"
        case events.Overlay() | events.Done():
            return "done"
        case events.Failed():
            return "failed"


def _neighbours(now: Moment, before: Moment) -> list[dict[str, Any]]:
    """The busiest first."""
    met = before.sight.neighbours if before.sight else ()
    totals = {(peer.address, peer.port): (peer.taken, peer.given) for peer in met}
    found = []
    for peer in now.sight.neighbours if now.sight else ():
        taken, given = totals.get((peer.address, peer.port), (0, 0))
        down, up = _gained(peer.taken, taken, now, before), _gained(peer.given, given, now, before)
        found.append({"address": peer.address, "port": peer.port, "down": down, "up": up})
    return sorted(found, key=lambda peer: peer["down"] + peer["up"], reverse=True)


def _rarest(availability: Sequence[int]) -> list[int]:
    parts = min(PARTS, len(availability))
    edges = [part * len(availability) // parts for part in range(parts)] + [len(availability)]
    return [min(availability[start:end]) for start, end in pairwise(edges)]
