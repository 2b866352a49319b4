"""A model of how an image's pieces spread over a site, for those who are connected as they are.

- Time goes in rounds of one piece. In a round the port of a seat lets one piece out and one in, the
  repository's as many as the site says, and each room's uplink as many either way as the site says. The
  repository stands outside of all rooms. What came in can be passed on from the next round on.
- Who is connected always has requests at each peer that has something for it, as libtorrent does. So a sender
  serves one of those whose ports are free, each as likely as another, and is idle only where there is none.
- The receiver chooses the piece: the rarest among its peers, and by chance between equals.
- All seats start at once, with nothing. Everybody stays and serves until the last one is done. No piece comes
  twice.

There are no round trips, no messages, no blocks within a piece and no loss. So times are too good, and shares
are those of ports that are never idle while anybody could use them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Graph = Sequence[set[int]]
"""The peers of each, by number: of all seats, and at the end of the repository."""


@dataclass(frozen=True)
class Site:
    """Rooms of so many seats each. Rates are in ports of a seat; an uplink of None is never full."""

    rooms: int
    seats: int
    uplink: int | None = 1
    repository: int = 1

    @property
    def seed(self) -> int:
        """The repository's number. All below it are seats, room after room."""
        return self.rooms * self.seats

    def room(self, peer: int) -> int:
        """The repository's is one after the last."""
        return peer // self.seats if peer < self.seed else self.rooms

    def members(self, room: int) -> range:
        return range(room * self.seats, (room + 1) * self.seats)


@dataclass(frozen=True)
class Flow:
    """What went where until the last seat was done, in copies of the image."""

    sent: float
    """By the repository."""
    inward: list[float]
    """Over each room's uplink, down to its seats."""
    inside: float
    """The share of what the seats received that came from their own rooms."""
    time: float
    """Of the last seat, over what the image takes through a seat's port."""


class Move(NamedTuple):
    """One piece on its way."""

    sender: int
    receiver: int
    piece: int


def exchange(site: Site, graph: Graph, pieces: int, rng: random.Random) -> Flow:
    """Let every seat fetch the image; raise ValueError where the connections do not lead to all."""
    swarm = _Swarm(site, graph, pieces, rng)
    sent, inward, rounds = 0, [0] * site.rooms, 0
    while swarm.filling:
        moves = swarm.next_round()
        if not moves:
            raise ValueError(f"nobody has what {len(swarm.filling)} seats miss and is connected to them")
        rounds += 1
        for move in moves:
            room = site.room(move.receiver)
            sent += move.sender == site.seed
            inward[room] += site.room(move.sender) != room
    return Flow(
        sent / pieces,
        [crossed / pieces for crossed in inward],
        1 - sum(inward) / (site.seed * pieces),
        rounds / pieces,
    )


class _Swarm:
    """Who has which pieces, and what each would ask for first."""

    def __init__(self, site: Site, graph: Graph, pieces: int, rng: random.Random) -> None:
        self.filling = set(range(site.seed))
        self._site = site
        self._graph = graph
        self._rng = rng
        self._neighbours = [
            peers.intersection(site.members(site.room(peer))) for peer, peers in enumerate(graph)
        ]
        self._has: list[set[int]] = [set() for _ in range(site.seed)]
        self._has.append(set(range(pieces)))
        self._misses = [set(range(pieces)) for _ in range(site.seed)]
        # How many of a seat's peers have each piece, the repository aside, for it has all. A fraction decides
        # between equals.
        self._ranks = [[rng.random() for _ in range(pieces)] for _ in range(site.seed)]
        self._ranks_of_peers = [
            [self._ranks[peer] for peer in peers if peer != site.seed] for peers in graph[: site.seed]
        ]

    def next_round(self) -> list[Move]:
        """Move what the ports let through."""
        senders = [seat for seat in range(self._site.seed) if self._has[seat]]
        senders += [self._site.seed] * self._site.repository
        self._rng.shuffle(senders)
        ports = _Ports(self._site, self.filling)
        moves = []
        for sender in senders:
            receivers = ports.open_to(sender, self._neighbours[sender], self._graph[sender])
            move = self._next_move(sender, receivers)
            if move is not None:
                ports.use(move)
                moves.append(move)
        self._receive(moves)
        return moves

    def _next_move(self, sender: int, receivers: list[int]) -> Move | None:
        while receivers:
            place = int(self._rng.random() * len(receivers))
            receivers[place], receivers[-1] = receivers[-1], receivers[place]
            receiver = receivers.pop()
            useful = self._has[sender] & self._misses[receiver]
            if useful:
                return Move(sender, receiver, min(useful, key=self._ranks[receiver].__getitem__))
        return None

    def _receive(self, moves: Iterable[Move]) -> None:
        for _, receiver, piece in moves:
            self._has[receiver].add(piece)
            self._misses[receiver].remove(piece)
            for ranks in self._ranks_of_peers[receiver]:
                ranks[piece] += 1
            if not self._misses[receiver]:
                self.filling.remove(receiver)


class _Ports:
    """Whose ports have something left in this round: of those who are filling, and of the uplinks."""

    def __init__(self, site: Site, filling: set[int]) -> None:
        self._site = site
        self._free = set(filling)
        self._free_over_uplink = set(filling)
        most = float("inf") if site.uplink is None else site.uplink
        self._inward = [most] * site.rooms
        # The repository's own room has no uplink that matters.
        self._outward = [*([most] * site.rooms), float("inf")]

    def open_to(self, sender: int, neighbours: set[int], peers: set[int]) -> list[int]:
        """Those of the sender's peers, in its room and elsewhere, whom it can send a piece."""
        found = list(neighbours & self._free)
        if self._outward[self._site.room(sender)] >= 1:
            found += (peers & self._free_over_uplink) - neighbours
        return found

    def use(self, move: Move) -> None:
        self._free.remove(move.receiver)
        self._free_over_uplink.discard(move.receiver)
        origin, room = self._site.room(move.sender), self._site.room(move.receiver)
        if origin != room:
            self._outward[origin] -= 1
            self._inward[room] -= 1
            if self._inward[room] < 1:
                self._free_over_uplink.difference_update(self._site.members(room))
