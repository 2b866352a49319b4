"""The hand-out where the pools are elsewhere: what to read of them, and what to make of it. Pure.

A pool is a sorted list of contacts (`record.py`), in which a room is one stretch. However great it is, two
looks are enough: one that counts, and one that reads as many contacts as are asked for.
"""

import random
from typing import NamedTuple

from tracker.handout import arcs, shares, strangers_wanted, with_seed
from tracker.swarm.peer import Peer, one_of
from tracker.swarm.record import Contact


class Stretch(NamedTuple):
    """A pool, and from where to where in it the announcer's room is."""

    pool: bytes
    length: int
    begin: int
    end: int

    @property
    def near(self) -> int:
        return self.end - self.begin

    @property
    def far(self) -> int:
        return self.length - self.near

    def run(self, count: int, rng: random.Random) -> list["Range"]:
        """So many of the room in a row, from somewhere."""
        found = arcs(self.near, count, rng)
        return [Range(self.pool, self.begin + start, self.begin + end - 1) for start, end in found]

    def one_far(self, place: int) -> "Range":
        """The one at this place among those of other rooms."""
        index = place if place < self.begin else place + self.near
        return Range(self.pool, index, index)


class Range(NamedTuple):
    """Contacts to read: a pool, the first index and the last."""

    pool: bytes
    first: int
    last: int


class View(NamedTuple):
    """What the first look tells: the pools, the contacts of the repository's seeds, and which of the
    strangers that the announcer was given before are still there. `place` of the announcer's kind come before
    it in its room."""

    leeching: Stretch
    seeding: Stretch
    repository: frozenset[bytes]
    strangers: list[bytes]
    place: int


class Plan(NamedTuple):
    """What the second look is to read, and what is known without it."""

    wanted: int
    vacated: frozenset[bytes]
    strangers: list[bytes]
    strangers_wanted: int
    barred: frozenset[bytes]
    repository_seed: bytes | None
    leeching: list[Range]
    seeding: list[Range]
    far: list[Range]
    any_seed: list[Range]
    near: tuple[int, int]

    @property
    def ranges(self) -> list[Range]:
        return [*self.leeching, *self.seeding, *self.far, *self.any_seed]


def plan(view: View, peer: Peer, vacated: list[Peer], wanted: int, rng: random.Random) -> Plan:
    """What to read for a peer, which is not in the pools yet; those whose places it takes still are."""
    leeching = view.leeching
    seeding = view.seeding if not peer.seeding else Stretch(view.seeding.pool, 0, 0, 0)
    gone = [one for one in vacated if one.room == peer.room and not (peer.seeding and one.seeding)]
    neighbours = leeching.near + seeding.near - len(gone)
    count = strangers_wanted(neighbours, leeching.far + seeding.far, view.place, wanted)
    contacts = frozenset(Contact.of(one).packed() for one in vacated)
    # While the repository's seed alone joins two rooms they are islands without it; it is handed out anyway.
    barred = view.repository | contacts
    kept = [one for one in view.strangers if one not in barred][:count]
    far = range(leeching.far + seeding.far if len(kept) < count else 0)
    places = rng.sample(far, min(len(far), count + len(barred)))
    seed = None if peer.seeding else one_of(sorted(view.repository - contacts), peer)
    index = one_of(range(seeding.length), peer) if seed is None and not seeding.near else None
    return Plan(
        wanted,
        contacts,
        kept,
        count,
        barred,
        seed,
        leeching.run(wanted + len(vacated), rng),
        seeding.run(wanted + len(vacated), rng),
        [
            leeching.one_far(place) if place < leeching.far else seeding.one_far(place - leeching.far)
            for place in places
        ],
        [Range(seeding.pool, index, index)] if index is not None else [],
        (leeching.near, seeding.near),
    )


def settle(plan: Plan, found: list[list[bytes]]) -> tuple[list[bytes], list[bytes]]:
    """The contacts to hand out, and those of them to keep for the next time, from what was read."""
    parts = iter(found)
    leeching, seeding, far, any_seed = (
        [one for _ in ranges for one in next(parts) if one not in plan.vacated]
        for ranges in (plan.leeching, plan.seeding, plan.far, plan.any_seed)
    )
    fresh = [one for one in far if one not in plan.barred]
    strangers = list(dict.fromkeys((*plan.strangers, *fresh)))[: plan.strangers_wanted]
    share = shares(*plan.near, len(strangers), plan.wanted)
    chosen = strangers[: share.strangers] + leeching[: share.leeching] + seeding[: share.seeding]
    seed = plan.repository_seed or next(iter(any_seed), None)
    # Who moved between the two looks may have been read twice.
    return with_seed(list(dict.fromkeys(chosen)), seed, plan.wanted), strangers
