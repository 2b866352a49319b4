"""Which peers an announcer gets. Pure: the peers and the randomness come as arguments."""

import random
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, TypeVar
from zlib import crc32

IPAddress = IPv4Address | IPv6Address

# What a seat needs to exchange pieces with, and how many of them are elsewhere even where its own room
# has enough. The cable between two rooms is narrow beside all the ports in them: what several seats fetch
# over it, when one could and pass it on, is lost there. But some must, or the rooms were islands.
ENOUGH = 3
BRIDGES = 1


class Candidate(Protocol):
    """What the policy needs to know of a peer."""

    @property
    def address(self) -> IPAddress: ...

    @property
    def subnet(self) -> bytes: ...

    @property
    def beside_tracker(self) -> bool: ...

    @property
    def seeding(self) -> bool: ...


C = TypeVar("C", bound=Candidate)


def subnet(address: IPAddress) -> bytes:
    """The /24 (IPv4) or /64 (IPv6) that stands for one room."""
    return address.packed[:3] if address.version == 4 else address.packed[:8]


def hand_out(own: IPAddress, complete: bool, others: Sequence[C], wanted: int, rng: random.Random) -> list[C]:
    """At most `wanted` of the `others` for the announcer `own`.

    Its own subnet first, and few from elsewhere; no seeds for one that is `complete`, and for one that is
    not at least one seed, if there is any: the one beside the tracker, if it is there.
    """
    candidates = [peer for peer in others if not (complete and peer.seeding)]
    if wanted <= 0 or not candidates:
        return []
    near = subnet(own)
    neighbours = [peer for peer in candidates if peer.subnet == near]
    strangers = sorted(
        (peer for peer in candidates if peer.subnet != near), key=lambda peer: _distance(own, peer)
    )
    share = min(len(strangers), max(BRIDGES, min(ENOUGH, wanted) - len(neighbours)))
    chosen = rng.sample(neighbours, min(len(neighbours), wanted - min(share, wanted - 1)))
    chosen += strangers[: min(share, wanted - len(chosen))]
    if not complete:
        seeds = sorted(
            (peer for peer in candidates if peer.seeding), key=lambda peer: not peer.beside_tracker
        )
        _include(chosen, seeds, wanted)
    rng.shuffle(chosen)
    return chosen


def _distance(own: IPAddress, peer: Candidate) -> int:
    """Chosen by it, the strangers are at every announce the same, and others for every announcer."""
    return crc32(peer.address.packed, crc32(own.packed))


def _include(chosen: list[C], seeds: Sequence[C], wanted: int) -> None:
    """Put in the first of the seeds, unless there is one already that is as good."""
    if not seeds or seeds[0] in chosen:
        return
    if not seeds[0].beside_tracker and any(peer.seeding for peer in chosen):
        return
    if len(chosen) >= wanted:
        chosen.pop()
    chosen.append(seeds[0])


def address_for(peer: IPAddress, announcer: IPAddress, reached_at: IPAddress) -> IPAddress:
    """The address under which `announcer` reaches `peer`.

    The repository's own seed announces over loopback, so all the tracker sees of it is 127.0.0.1 or ::1, an
    address that leads every other host to itself. That seed runs where the tracker runs, so it is handed
    out under the address at which this announcer has just reached the tracker: the one address of this
    host that is known to work from there, whatever the number of its networks. Who announces over loopback
    is on this host too, and loopback addresses are right for it as they are.
    """
    return reached_at if peer.is_loopback and not announcer.is_loopback else peer
