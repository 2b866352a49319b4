"""Which peers an announcer gets. Pure: the peers and the randomness come as arguments."""

import random
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, TypeVar

IPAddress = IPv4Address | IPv6Address

# One peer in four comes from elsewhere, so that the rooms of one building feed each other too and no
# subnet becomes an island that holds half of the pieces.
ELSEWHERE = 4


class Candidate(Protocol):
    """What the policy needs to know of a peer."""

    @property
    def subnet(self) -> bytes: ...

    @property
    def seeding(self) -> bool: ...


C = TypeVar("C", bound=Candidate)


def subnet(address: IPAddress) -> bytes:
    """The /24 (IPv4) or /64 (IPv6) that stands for one room."""
    return address.packed[:3] if address.version == 4 else address.packed[:8]


def hand_out(near: bytes, complete: bool, others: Sequence[C], wanted: int, rng: random.Random) -> list[C]:
    """At most `wanted` of the `others` for an announcer in the subnet `near`.

    Its own subnet first, but always some from elsewhere; no seeds for one that is `complete`, and at least
    one seed, if there is any, for one that is not.
    """
    candidates = [peer for peer in others if not (complete and peer.seeding)]
    if len(candidates) <= wanted:
        rng.shuffle(candidates)
        return candidates
    if wanted <= 0:
        return []
    neighbours = [peer for peer in candidates if peer.subnet == near]
    strangers = [peer for peer in candidates if peer.subnet != near]
    share = max(1, wanted // ELSEWHERE) if wanted > 1 else 0
    from_elsewhere = min(len(strangers), max(share, wanted - len(neighbours)))
    chosen = rng.sample(neighbours, min(len(neighbours), wanted - from_elsewhere))
    chosen += rng.sample(strangers, from_elsewhere)
    if not complete and not any(peer.seeding for peer in chosen):
        seeds = [peer for peer in neighbours if peer.seeding] or [peer for peer in strangers if peer.seeding]
        if seeds:
            chosen[rng.randrange(len(chosen))] = rng.choice(seeds)
    rng.shuffle(chosen)
    return chosen


def address_for(peer: IPAddress, announcer: IPAddress, reached_at: IPAddress) -> IPAddress:
    """The address under which `announcer` reaches `peer`.

    The repository's own seed announces over loopback, so all the tracker sees of it is 127.0.0.1 or ::1, an
    address that leads every other host to itself. That seed runs where the tracker runs, so it is handed
    out under the address at which this announcer has just reached the tracker: the one address of this
    host that is known to work from there, whatever the number of its networks. Who announces over loopback
    is on this host too, and loopback addresses are right for it as they are.
    """
    return reached_at if peer.is_loopback and not announcer.is_loopback else peer
