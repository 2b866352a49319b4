"""The swarms in this process's own memory. One thread only."""

import random
import time
from collections.abc import Callable, Iterator
from itertools import islice

from tracker.handout import hand_out, strangers_wanted
from tracker.networks import is_loopback, reachable
from tracker.request import AnnounceRequest, InfoHash
from tracker.swarm.index import Index
from tracker.swarm.leases import Leases
from tracker.swarm.peer import (
    Answer,
    Peer,
    PeerStatus,
    Source,
    Tally,
    endpoint_of,
    identity_of,
    is_download,
    news_of,
    next_look,
    one_of,
    place_of,
    renewed,
    silent_from,
    valid_until,
)
from tracker.swarm.roster import NOBODY, Crowd, Room, Roster
from tracker.swarm.state import State
from tracker.swarm.store import Expired, interval_for

# How often to look for a peer of another room: among all, then in the rooms.
_TRIES = 8


class Swarm(Crowd):
    """The peers of one torrent, all and by rooms, and how each is found again when it comes back."""

    __slots__ = ("by_endpoint4", "by_endpoint6", "by_identity", "repository", "rooms", "swarm_id")

    def __init__(self, swarm_id: InfoHash, roster: Roster) -> None:
        super().__init__(roster.in_swarm)
        self.swarm_id = swarm_id
        self.by_identity = Index(roster.identities)
        self.by_endpoint4 = Index(roster.endpoints4)
        self.by_endpoint6 = Index(roster.endpoints6)
        self.rooms: dict[bytes, Room] = {}
        self.repository: dict[int, None] = {}

    def rows(self) -> list[int]:
        return [*self.leeching.rows, *self.seeding.rows]

    def indexes(self, roster: Roster, row: int) -> Iterator[Index]:
        """Those that a row with such keys is in."""
        yield self.by_identity
        if roster.endpoints4[row] is not None:
            yield self.by_endpoint4
        if roster.endpoints6[row] is not None:
            yield self.by_endpoint6


class MemoryStore:
    """All swarms of one tracker. An announce takes as long in a swarm of ten thousand as in one of fifty."""

    at_once = True
    clock = staticmethod(time.monotonic)

    def __init__(self, rng: random.Random, room_of: Callable[[bytes], bytes], state: State) -> None:
        self._rng = rng
        self._room_of = room_of
        self._state = state
        self._swarms: dict[InfoHash, Swarm] = {}
        self._roster = Roster()
        self._leases = Leases(self._roster.due)

    async def announce(
        self, swarm_id: InfoHash, request: AnnounceRequest, source: Source, now: float
    ) -> Answer:
        swarm = self._swarms.get(swarm_id)
        if swarm is None:
            swarm = self._swarms[swarm_id] = Swarm(swarm_id, self._roster)
        row = self._find(swarm, request, source)
        former = self._roster.get(row) if row is not None else None
        interval = interval_for(len(self._roster) + (row is None))
        status = PeerStatus.from_event_and_left(request.event, request.left)
        news = news_of(former.seeding if former else None, status)
        if is_download(request, former.seeding if former else None):
            self._state.add(swarm_id)
        chosen: list[int] = []
        if status is PeerStatus.STOPPED:
            if row is not None:
                self._remove(swarm, row)
        else:
            peer = renewed(former, request, source, self._room_of, now, interval)
            # The answer is drawn before a newcomer is in.
            strangers = self._strangers(swarm, peer, row, request.numwant)
            chosen = self._choose(swarm, peer, row, strangers, request.numwant)
            row = self._put(swarm, row, former, peer)
            if request.numwant:
                self._roster.keep_strangers(row, strangers)
        return Answer(*self._contacts(chosen, request, source), self._tally(swarm), interval, news)

    async def tally(self, swarm_id: InfoHash) -> Tally:
        swarm = self._swarms.get(swarm_id)
        return self._tally(swarm) if swarm else Tally(downloaded=self._state.count(swarm_id))

    async def peers(self, swarm_id: InfoHash) -> list[Peer]:
        swarm = self._swarms.get(swarm_id)
        return [self._roster.get(row) for row in swarm.rows()] if swarm else []

    async def interval(self) -> int:
        return interval_for(len(self._roster))

    async def expire(self, now: float, most: int) -> Expired:
        roster = self._roster
        lost = []
        for row in self._leases.come_up(now, most):
            seen, interval, keeps = roster.seen[row], roster.intervals[row], roster.keeps_interval(row)
            if valid_until(seen, interval, keeps) > now:
                self._leases.set(row, next_look(seen, interval, keeps, now))
                continue
            room = roster.rooms[row]
            assert room is not None
            assert isinstance(room.swarm, Swarm)
            lost.append((room.swarm.swarm_id, roster.get(row)))
            self._remove(room.swarm, row)
        return Expired(lost, self._leases.due(now))

    async def withdraw(self, swarm_id: InfoHash) -> None:
        swarm = self._swarms.pop(swarm_id, None)
        for row in swarm.rows() if swarm else ():
            self._leases.strike_out(row)
            self._roster.free(row)

    async def secret(self) -> bytes:
        return self._state.secret

    async def save(self) -> None:
        await self._state.save()

    async def close(self) -> None:
        self._state.close()

    def _tally(self, swarm: Swarm) -> Tally:
        return Tally(len(swarm.seeding), len(swarm.leeching), self._state.count(swarm.swarm_id))

    def _find(self, swarm: Swarm, request: AnnounceRequest, source: Source) -> int | None:
        """The row that this announcer has had until now, or takes over."""
        row = swarm.by_identity.find(identity_of(request))
        by_endpoint = swarm.by_endpoint4 if len(source.address) == 4 else swarm.by_endpoint6
        holder = by_endpoint.find(endpoint_of(request, source))
        if holder is None or holder == row:
            return row
        place, outcast = place_of(row, holder, self._roster.identities[holder][:20], request)
        if outcast is not None:
            self._remove(swarm, outcast)
        return place

    def _put(self, swarm: Swarm, row: int | None, former: Peer | None, peer: Peer) -> int:
        roster = self._roster
        if row is None:
            row = roster.new_row()
            self._leases.set(row, silent_from(peer.seen, peer.interval))
        if former is None or (former.room, former.seeding) != (peer.room, peer.seeding):
            if former is not None:
                self._leave(swarm, row)
            room = swarm.rooms.get(peer.room)
            if room is None:
                room = swarm.rooms[peer.room] = Room(roster.in_room, peer.room, swarm)
            room.pool(peer.seeding).add(row)
            swarm.pool(peer.seeding).add(row)
        else:
            room = roster.rooms[row]
            assert room is not None
        renamed = former is None or former[:3] != peer[:3]
        if renamed and former is not None:
            self._unlist(swarm, row)
        if peer.beside_tracker and peer.seeding:
            swarm.repository[row] = None
        else:
            swarm.repository.pop(row, None)
        roster.put(row, peer, room)
        if renamed:
            for index in swarm.indexes(roster, row):
                index.add(row)
        return row

    def _remove(self, swarm: Swarm, row: int) -> None:
        self._unlist(swarm, row)
        swarm.repository.pop(row, None)
        self._leave(swarm, row)
        self._leases.strike_out(row)
        self._roster.free(row)
        if not len(swarm):
            del self._swarms[swarm.swarm_id]

    def _unlist(self, swarm: Swarm, row: int) -> None:
        for index in swarm.indexes(self._roster, row):
            index.remove(row)

    def _leave(self, swarm: Swarm, row: int) -> None:
        room = self._roster.rooms[row]
        assert room is not None
        seeding = self._roster.is_seeding(row)
        room.pool(seeding).remove(row)
        swarm.pool(seeding).remove(row)
        if not len(room):
            del swarm.rooms[room.key]

    def _choose(
        self, swarm: Swarm, peer: Peer, row: int | None, strangers: list[int], wanted: int
    ) -> list[int]:
        room = swarm.rooms.get(peer.room)
        leeching = room.leeching.rows if room else ()
        seeding = room.seeding.rows if room and not peer.seeding else ()
        seed = None
        if not peer.seeding:
            seed = one_of([one for one in swarm.repository if one != row], peer)
            if seed is None and not seeding and len(swarm.seeding):
                seed = one_of(swarm.seeding.rows, peer)
        return hand_out(leeching, seeding, strangers, seed if seed != row else None, wanted, self._rng, row)

    def _strangers(self, swarm: Swarm, peer: Peer, row: int | None, wanted: int) -> list[int]:
        """Peers of other rooms: those that it was given before, while they are there, and else new ones."""
        room = swarm.rooms.get(peer.room)
        if len(swarm.rooms) == (room is not None):
            return []
        neighbours = len(room.leeching) + (0 if peer.seeding else len(room.seeding)) if room else 0
        elsewhere = len(swarm.leeching) + (0 if peer.seeding else len(swarm.seeding)) - neighbours
        place = len(room.pool(peer.seeding)) if room else 0
        if row is not None and self._roster.rooms[row] is room:
            was_seeding = self._roster.is_seeding(row)
            # It was counted itself, unless it is a seed among the seeds.
            neighbours -= not (peer.seeding and was_seeding)
            if peer.seeding == was_seeding:
                place = self._roster.in_room[row]
        count = strangers_wanted(neighbours, elsewhere, place, wanted)
        found = []
        if row is not None:
            kept = self._roster.strangers_of(row)
            found = [one for one in kept if one != NOBODY and self._is_stranger(swarm, peer, one)][:count]
        for one in self._drawn(swarm, peer) if len(found) < count else ():
            if one not in found and self._is_stranger(swarm, peer, one):
                found.append(one)
                if len(found) == count:
                    break
        return found

    def _drawn(self, swarm: Swarm, peer: Peer) -> Iterator[int]:
        """Some peers of the swarm by chance, and then, for one whose room is nearly all of it, by rooms."""
        leeching = swarm.leeching.rows
        seeding = () if peer.seeding else swarm.seeding.rows
        total = len(leeching) + len(seeding)
        for _ in range(_TRIES if total else 0):
            place = int(self._rng.random() * total)
            yield leeching[place] if place < len(leeching) else seeding[place - len(leeching)]
        for room in islice(swarm.rooms.values(), _TRIES if total else 0):
            if room.key != peer.room:
                yield from islice(room.leeching.rows, _TRIES)
                yield from islice(room.seeding.rows, 0 if peer.seeding else _TRIES)

    def _is_stranger(self, swarm: Swarm, peer: Peer, row: int) -> bool:
        room = self._roster.rooms[row]
        return (
            room is not None
            and room.swarm is swarm
            and room.key != peer.room
            and not (peer.seeding and self._roster.is_seeding(row))
            # It is handed out in any case, and while it alone joins two rooms they are islands without it.
            and row not in swarm.repository
        )

    def _contacts(
        self, rows: list[int], request: AnnounceRequest, source: Source
    ) -> tuple[list[bytes], list[bytes]]:
        """How the announcer reaches these peers: in its own family of addresses, if they have one there."""
        own, other = self._roster.endpoints4, self._roster.endpoints6
        if len(source.address) != 4:
            own, other = other, own
        known = [own[row] or other[row] or b"" for row in rows]
        found: list[bytes | None] = [*known]
        if not is_loopback(source.address):
            # Loopback begins with 127 in IPv4 and with 0 in IPv6.
            found = [reachable(one, *source) if one[0] in (127, 0) else one for one in known]
        endpoints = [one for one in found if one is not None]
        if request.compact:
            return endpoints, []
        identities = self._roster.identities
        return endpoints, [identities[row][:20] for row, one in zip(rows, found, strict=True) if one]
