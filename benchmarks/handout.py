"""What the tracker's hand-out keeps inside the rooms of a site, by simulation: no root, no network.

python -m benchmarks.handout

Seats announce themselves to the tracker's own store, in any order after the repository's seed, and once more
when all are there; each is connected to all whom it was told of, and to all who were told of it. Beside that
stands an ordinary tracker, which draws from the whole swarm. Who is connected to whom makes the columns about
the graph, and the model in exchange.py makes the others of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import or_
from statistics import mean

import click

from benchmarks.exchange import Flow, Graph, Site, exchange
from tracker.request import AnnounceRequest, InfoHash, PeerId
from tracker.swarm.memory import MemoryStore
from tracker.swarm.peer import Source
from tracker.swarm.state import State

SITES = (
    Site(1, 8),
    Site(1, 30),
    Site(1, 200),
    Site(1, 2000),
    Site(2, 8),
    Site(2, 8, uplink=None),
    Site(10, 20),
    Site(10, 20, uplink=10),
    Site(10, 20, uplink=10, repository=10),
    Site(10, 200, uplink=10),
    Site(285, 7),
)

# What libtorrent asks for, and so do our seats.
NUMWANT = 200
# More make no difference; of fewer the figures are worse, for a fill begins and ends with idle ports. A great
# site has fewer all the same, and a small one is drawn several times, for chance makes more of a difference.
_MOST_PIECES = 512
_MOST_DRAWS = 9
_MOST_MOVES = 1 << 18
_IMAGE = InfoHash(b"i" * 20)
_PORT = 6881
# A seat announces itself when it comes, and after the shortest interval.
_MOMENTS = (0.0, 5.0)

HandOut = Callable[[int, float], Awaitable[Iterable[int]]]
"""Whom a tracker tells the announcer of at a moment. All are numbers, as in the graph."""


def rooms_first(site: Site, rng: random.Random) -> HandOut:
    """Our tracker, whose networks of one room are the site's rooms."""
    numbers = {_address(peer): peer for peer in range(site.seed + 1)}
    store = MemoryStore(rng, lambda address: site.room(numbers[address]).to_bytes(2, "big"), State())

    async def hand_out(peer: int, now: float) -> Iterable[int]:
        own = _address(peer)
        left = 0 if peer == site.seed else 1
        request = AnnounceRequest(_IMAGE, PeerId(own.rjust(20, b"-")), _PORT, left, numwant=NUMWANT)
        answer = await store.announce(_IMAGE, request, Source(own, _address(site.seed)), now)
        return [numbers[endpoint[:-2]] for endpoint in answer.endpoints]

    return hand_out


def whole_swarm(site: Site, rng: random.Random) -> HandOut:
    """A tracker that knows no rooms and no repository, as opentracker."""
    swarm: list[int] = []

    async def hand_out(peer: int, now: float) -> Iterable[int]:
        others = [other for other in swarm if other != peer]
        if len(others) == len(swarm):
            swarm.append(peer)
        return rng.sample(others, min(NUMWANT, len(others)))

    return hand_out


HAND_OUTS = {"rooms first": rooms_first, "whole swarm": whole_swarm}


async def connect(site: Site, hand_out: HandOut, rng: random.Random) -> list[set[int]]:
    """Who is connected to whom when all have announced themselves."""
    graph: list[set[int]] = [set() for _ in range(site.seed + 1)]
    for now in _MOMENTS:
        for peer in [site.seed, *rng.sample(range(site.seed), site.seed)]:
            for other in await hand_out(peer, now):
                graph[peer].add(other)
                graph[other].add(peer)
    return graph


def span(graph: Graph, members: Collection[int]) -> tuple[int, int]:
    """How many parts these make without the others, and the most hops between two of the same part."""
    reached, hops = {peer: 1 << peer for peer in members}, 0
    within = {peer: graph[peer].intersection(members) for peer in members}
    while True:
        further = {
            peer: reduce(or_, (reached[other] for other in within[peer]), reached[peer]) for peer in members
        }
        if further == reached:
            return len(set(reached.values())), hops
        reached, hops = further, hops + 1


@dataclass(frozen=True)
class Outcome:
    """What came of one hand-out on one site."""

    site: Site
    graph: Graph
    flow: Flow

    @property
    def peers(self) -> float:
        """Other seats that a seat is connected to, on average."""
        return sum(len(peers - {self.site.seed}) for peers in self.graph[:-1]) / self.site.seed

    @property
    def strangers(self) -> float:
        """Those of them in other rooms."""
        site = self.site
        return (
            sum(
                site.room(other) != site.room(seat)
                for seat in range(site.seed)
                for other in self.graph[seat] - {site.seed}
            )
            / site.seed
        )


def draw(site: Site, name: str, pieces: int, rng: random.Random) -> Outcome:
    """Let chance say who comes when, who is told of whom, and who serves whom."""
    graph = asyncio.run(connect(site, HAND_OUTS[name](site, rng), rng))
    return Outcome(site, graph, exchange(site, graph, pieces, rng))


def simulate(site: Site, name: str) -> list[Outcome]:
    """As many draws as are worth it; the same each time."""
    rng = random.Random(f"{site} {name}")
    pieces = min(_MOST_PIECES, _MOST_MOVES // site.seed)
    draws = min(_MOST_DRAWS, _MOST_MOVES // (site.seed * pieces))
    return [draw(site, name, pieces, rng) for _ in range(draws)]


TITLES = (
    "rooms of seats",
    "hand-out",
    "inside",
    "at best",
    "copies uplink",
    "copies sent",
    "last x limit",
    "peers",
    "strangers",
    "hops, room",
    "hops, site",
)


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """The means of all draws, and the worst of them where it is about graphs."""
    site, flows = outcomes[0].site, [outcome.flow for outcome in outcomes]
    cells = [
        title(site),
        name,
        f"{mean(flow.inside for flow in flows):.1%}",
        f"{1 - 1 / site.seats:.1%}",
        f"{mean(max(flow.inward) for flow in flows):.2f}",
        f"{mean(flow.sent for flow in flows):.2f}",
        f"{mean(flow.time for flow in flows):.2f}",
        f"{mean(outcome.peers for outcome in outcomes):.1f}",
        f"{mean(outcome.strangers for outcome in outcomes):.1f}",
        _hops(span(one.graph, site.members(room)) for one in outcomes for room in range(site.rooms)),
        _hops(span(one.graph, range(site.seed)) for one in outcomes),
    ]
    return line(cells)


def _hops(spans: Iterable[tuple[int, int]]) -> str:
    """The most hops of several graphs, or islands where one of them falls apart."""
    parts, hops = map(max, zip(*spans, strict=True))
    return str(hops) if parts == 1 else f"{parts} islands"


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def title(site: Site) -> str:
    uplink = "any" if site.uplink is None else site.uplink
    return f"{site.rooms} of {site.seats}, uplink {uplink}, repository {site.repository}"


def _address(peer: int) -> bytes:
    return b"\x0a" + peer.to_bytes(3, "big")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Print a Markdown table: each site with the tracker's own hand-out and with an ordinary one."""
    click.echo(line(TITLES))
    click.echo(line("---" for _ in TITLES))
    with ProcessPoolExecutor() as pool:
        # Line by line, because the great sites take a minute.
        for text in pool.map(_row_of, *zip(*product(SITES, HAND_OUTS), strict=True)):
            click.echo(text)


def _row_of(site: Site, name: str) -> str:
    return row(name, simulate(site, name))


if __name__ == "__main__":
    main()
