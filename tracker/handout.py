"""Which peers an announcer gets. Pure: who there is and the randomness come as arguments.

A peer is whatever the caller names it by. The rooms come first: the cable between two rooms is narrow beside
all the ports in them, and what several seats fetch over it, when one could and pass it on, is lost there.
But some must, or the rooms were islands.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

# How many peers a seat needs to exchange pieces with, and how many seats fetch for a room what another has.
ENOUGH = 3

T = TypeVar("T")


class Shares(NamedTuple):
    """How many of each kind an announcer gets; the first two are of its own room."""

    leeching: int
    seeding: int
    strangers: int


def strangers_wanted(neighbours: int, elsewhere: int, place: int, wanted: int) -> int:
    """How many peers of other rooms a seat gets, of the so many that are there, in whatever rooms.

    It has so many neighbours, wants so many peers, and `place` of its neighbours come before it, in an order
    that stays. Each room fetches what the repository has sent to the others, and of what several of its seats
    fetch by themselves they fetch the same. So a few do it: the more of the swarm is elsewhere, the more.
    """
    bridge = place * (neighbours + 1) < ENOUGH * elsewhere
    return min(wanted, elsewhere, max(int(bridge), ENOUGH - neighbours))


def shares(leeching: int, seeding: int, strangers: int, wanted: int) -> Shares:
    """Divide the `wanted` among what there is."""
    if wanted <= 0:
        return Shares(0, 0, 0)
    neighbours = leeching + seeding
    near = min(neighbours, wanted - min(strangers, wanted - 1))
    # Of both kinds their share, and at least one of each that there is.
    share = -(-near * seeding // max(1, neighbours))
    seeds = min(share, near - (near > 1 and leeching > 0))
    return Shares(near - seeds, seeds, min(strangers, wanted - near))


def arcs(length: int, count: int, rng: random.Random) -> list[tuple[int, int]]:
    """Where to find `count` members in a row from somewhere, as if all `length` sat in a ring.

    Each is as likely as another, and a room of thousands is a graph in which all are near. The ring is cut
    open at its end: there may be two stretches, each from an index up to another.
    """
    if count <= 0 or length <= 0:
        return []
    start = int(rng.random() * length)
    end = start + min(count, length)
    return [(start, end)] if end <= length else [(start, length), (0, end - length)]


def with_seed(chosen: list[T], seed: T | None, wanted: int) -> list[T]:
    """`chosen`, with the repository's seed in whatever happens."""
    if seed is None or seed in chosen or not wanted:
        return chosen
    return [*chosen[: wanted - 1], seed]


def hand_out(
    leeching: Sequence[T],
    seeding: Sequence[T],
    strangers: Sequence[T],
    seed: T | None,
    wanted: int,
    rng: random.Random,
    asker: T | None = None,
) -> list[T]:
    """At most `wanted` peers, each once, and never the `asker`.

    `leeching` and `seeding` are the own room's. `strangers`, as many as `strangers_wanted` says, are to be
    the same at each announce: another one each time would be one more connection between the rooms. For a
    seat that is complete, `seeding` is to be empty and `seed` None, and no stranger a seed.
    """
    share = shares(len(leeching), len(seeding), len(strangers), wanted)
    chosen = list(strangers[: share.strangers])
    for members, count in ((leeching, share.leeching), (seeding, share.seeding)):
        run: list[T] = []
        # One more, should the asker be among them.
        for start, end in arcs(len(members), count + 1, rng) if count else ():
            run += members[start:end]
        if asker in run:
            run.remove(asker)
        chosen += run[:count]
    return with_seed(chosen, seed, wanted)
