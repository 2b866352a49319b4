"""Which peers an announcer gets. Pure: who there is and the randomness come as arguments.

A peer is whatever the caller names it by. The rooms come first: the cable between two rooms is narrow beside
all the ports in them, and what several seats fetch over it, when one could and pass it on, is lost there.
But some must, or the rooms were islands.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

# What a seat needs to exchange pieces with, and how many of them are elsewhere even where its own room has
# enough.
ENOUGH = 3
BRIDGES = 1

T = TypeVar("T")


def strangers_wanted(neighbours: int, wanted: int) -> int:
    """How many peers of other rooms a seat gets that has so many neighbours and wants so many peers."""
    return min(wanted, max(BRIDGES, min(ENOUGH, wanted) - neighbours))


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

    `leeching` and `seeding` are the own room's. Of more than `wanted` it gets a run from any place, as if
    they sat in a ring: each is as likely as another, and a room of thousands is a graph in which all are
    near. `strangers`, as many as `strangers_wanted` says, are to be the same at each announce: another one
    each time would be one more connection between the rooms. `seed` is in whatever happens. For a seat that
    is complete, `seeding` is to be empty and `seed` None, and no stranger a seed.
    """
    if wanted <= 0:
        return []
    neighbours = len(leeching) + len(seeding)
    near = min(neighbours, wanted - min(len(strangers), wanted - 1))
    # Of both kinds their share, and at least one of each that there is.
    share = -(-near * len(seeding) // max(1, neighbours))
    seeds = min(share, near - (near > 1 and len(leeching) > 0))
    chosen = list(strangers[: wanted - near])
    chosen += _run(leeching, near - seeds, rng, asker)
    chosen += _run(seeding, seeds, rng, asker)
    if seed is not None and seed not in chosen:
        del chosen[wanted - 1 :]
        chosen.append(seed)
    return chosen


def _run(members: Sequence[T], count: int, rng: random.Random, asker: T | None) -> list[T]:
    """`count` members in a row from somewhere, as if they sat in a ring."""
    if count <= 0:
        return []
    start = int(rng.random() * len(members))
    end = start + count + 1  # one more, should the asker be among them
    run = list(members[start:end])
    if end > len(members):
        run += members[: min(end - len(members), start)]
    if asker in run:
        run.remove(asker)
    del run[count:]
    return run
