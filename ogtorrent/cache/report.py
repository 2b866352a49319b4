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
from ogtorrent.swarm.torrent import Sight

NEIGHBOURS = 16  # the busiest
PARTS = 48  # of the image, of which each is as rare as its rarest piece


@dataclass(frozen=True)
class Machine:
    """This PC; None is what it does not know."""

    port: int  # that others can connect to; 0 for none
    link: int | None  # Mbit/s
    disk_rate: int | None  # bytes a second, while it writes
    disk_waits: float | None  # the part of the time, 0 to 1, in which it wrote
    reachable: bool | None
    cache_size: int | None
    cache_free: int | None


def report(
    order: Order, last: events.Event, done: int, sight: Sight | None, machine: Machine
) -> dict[str, Any]:
    """`last`: what was told last of the fill; `done`: verified bytes, of which `sight` may know no more."""
    failed = last if isinstance(last, events.Failed) else None
    return {
        "info_hash": order.metainfo.info_hash.hex(),
        "name": order.name,
        "doing": _doing(last),
        "done": done,
        "download_rate": sight.download_rate if sight else 0,
        "upload_rate": sight.upload_rate if sight else 0,
        "peers": len(sight.neighbours) if sight else 0,
        "neighbours": _neighbours(sight) if sight else [],
        "availability": _rarest(sight.availability) if sight else [],
        "error_code": failed.exit_code if failed else None,
        "error": failed.message if failed else "",
        **asdict(machine),
    }


def disk(before: Work, now: Work, seconds: float) -> tuple[int | None, float]:
    """`disk_rate` and `disk_waits`, by what a session did in these seconds.

    A seat writes in one thread at most, which is the network's own where that is not fast. It writes to the
    kernel, which holds it up as soon as too much waits for the disk; then this is the disk's own rate.
    """
    writing = now.writing - before.writing
    taken = now.taken - before.taken
    return int(taken / writing) if writing > 0 and taken else None, min(1.0, writing / seconds)


def _doing(last: events.Event) -> str:
    match last:
        case events.Started() | events.Checking():
            return "checking"
        case events.Progress():
            return "filling"
        case events.Done():
            return "done"
        case events.Failed():
            return "failed"


def _neighbours(sight: Sight) -> list[dict[str, Any]]:
    busiest = sorted(sight.neighbours, key=lambda peer: peer.down + peer.up, reverse=True)
    return [asdict(peer) for peer in busiest[:NEIGHBOURS]]


def _rarest(availability: Sequence[int]) -> list[int]:
    parts = min(PARTS, len(availability))
    edges = [part * len(availability) // parts for part in range(parts)] + [len(availability)]
    return [min(availability[start:end]) for start, end in pairwise(edges)]
