"""The swarms in Valkey, so that any number of trackers serve one swarm. `keyspace.py` says what is where.

An announce reads, decides as the store in memory does, and writes in one transaction that fails if a peer it
is about has changed meanwhile (WATCH).
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from secrets import token_bytes
from typing import Any
from urllib.parse import urlsplit

from valkey import Valkey as BlockingValkey
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.exceptions import ValkeyError, WatchError

from tracker.networks import reachable
from tracker.request import AnnounceRequest, InfoHash
from tracker.swarm import keyspace
from tracker.swarm.drawing import Stretch, View, plan, settle
from tracker.swarm.keyspace import Known
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
    place_of,
    renewed,
)
from tracker.swarm.record import Contact, room_bounds
from tracker.swarm.state import SECRET_BYTES
from tracker.swarm.store import Expired, StoreDownError, interval_for

# Seconds that the server has for an answer, that nobody asks it after it gave none, and that a crowd may wait
# for its turn.
_TIMEOUT = 2.0
_PAUSE = 1.0
_PATIENCE = 20.0
_CONNECTIONS = 32
# Seconds, at most, until an announce is tried again that another of the same peer came between.
_NEXT_TRY = 0.005
# Seconds by which the server's clock may seem to go back without having been set.
_JITTER = 2.0


class ValkeyStore:
    """All swarms of several trackers. An announce takes six round trips, however great its swarm is."""

    at_once = False

    def __init__(self, url: str, rng: random.Random, room_of: Callable[[bytes], bytes]) -> None:
        """Reach the server; raises StoreDownError, and ValueError for what is no such URL."""
        self._rng = rng
        self._room_of = room_of
        parts = urlsplit(url)
        # Without the password.
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        limits: dict[str, Any] = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
        try:
            once: Any = BlockingValkey.from_url(url, **limits)
            with once:
                seconds, microseconds = once.time()
                once.set(keyspace.SECRET, token_bytes(SECRET_BYTES), nx=True)
                self._secret = bytes(once.get(keyspace.SECRET))
        except (ValkeyError, OSError) as error:
            raise self._down(error) from error
        except ValueError as error:
            raise ValueError(
                f"{self._shown} is not the URL of a store, which is like valkey://10.1.0.5:6379/0: {error}"
            ) from error
        # The trackers' own clocks may differ, and be set.
        self._ahead: float = seconds + microseconds / 1e6 - time.monotonic()
        self._down_until = 0.0
        pool = BlockingConnectionPool.from_url(url, max_connections=_CONNECTIONS, timeout=_TIMEOUT, **limits)
        # Not typed: its hints say str where bytes do as well.
        self._valkey: Any = Valkey(connection_pool=pool)
        # Each takes two connections: one watches, the other draws.
        self._turns = asyncio.Semaphore(_CONNECTIONS // 2)

    def clock(self) -> float:
        return time.monotonic() + self._ahead

    async def announce(
        self, swarm_id: InfoHash, request: AnnounceRequest, source: Source, now: float
    ) -> Answer:
        async with self._reached():
            give_up = time.monotonic() + 3 * _TIMEOUT
            while True:
                try:
                    return await self._announce(swarm_id, request, source, now)
                except WatchError as error:  # or the connection is lost
                    if time.monotonic() > give_up:
                        raise StoreDownError(
                            f"{self._shown}: other announces of one peer came between"
                        ) from error
                    await asyncio.sleep(self._rng.random() * _NEXT_TRY)

    async def tally(self, swarm_id: InfoHash) -> Tally:
        async with self._reached():
            reading = self._valkey.pipeline(transaction=False)
            keyspace.ask_tally(reading, swarm_id)
            return keyspace.tally_of(await reading.execute())

    async def peers(self, swarm_id: InfoHash) -> list[Peer]:
        async with self._reached():
            records = await self._records((swarm_id, one) for one in await self._identities(swarm_id))
        return [known.peer for known in records if known is not None]

    async def interval(self) -> int:
        async with self._reached():
            return interval_for(await self._valkey.zcard(keyspace.DUE))

    async def expire(self, now: float, most: int) -> Expired:
        async with self._reached():
            members = await self._valkey.zrangebyscore(keyspace.DUE, "-inf", now, start=0, num=most)
            places = [(InfoHash(member[:20]), member[20:]) for member in members]
            alive, silent = {}, []
            records = await self._records(places)
            for member, place, known in zip(members, places, records, strict=True):
                if known is not None and known.peer.valid_until > now:
                    peer = known.peer
                    alive[member] = next_look(peer.seen, peer.interval, peer.keeps_interval, now)
                else:
                    silent.append(place)
            if alive:
                # Not one that has left since.
                await self._valkey.zadd(keyspace.DUE, alive, xx=True)
            lost = [(swarm_id, await self._take_out(swarm_id, who, now)) for swarm_id, who in silent]
        return Expired([(swarm_id, peer) for swarm_id, peer in lost if peer], len(members) == most)

    async def withdraw(self, swarm_id: InfoHash) -> None:
        async with self._reached():
            for identity in await self._identities(swarm_id):
                await self._take_out(swarm_id, identity)

    async def secret(self) -> bytes:
        return self._secret

    async def save(self) -> None:
        """All is there already; but the server's clock may have been set, and its memory lost."""
        async with self._reached():
            reading = self._valkey.pipeline(transaction=False)
            reading.time()
            reading.set(keyspace.SECRET, self._secret, nx=True)
            (seconds, microseconds), _ = await reading.execute()
        ahead = seconds + microseconds / 1e6 - time.monotonic()
        if not -_JITTER < ahead - self._ahead < 0:
            self._ahead = ahead

    async def close(self) -> None:
        await self._valkey.aclose()
        await self._valkey.connection_pool.disconnect()

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turns.acquire()
        except TimeoutError:
            raise self._down("too many wait for it") from None
        began = time.monotonic()
        try:
            if began < self._down_until:
                raise self._down("nor did it a moment ago")
            yield
        except (ValkeyError, OSError) as error:
            failed = time.monotonic()
            if failed - began >= _TIMEOUT:
                # Whoever waits is told now, or each would wait as long.
                self._down_until = failed + _PAUSE
            raise self._down(error) from error
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        changes = self._valkey.pipeline()
        try:
            yield changes
        except BaseException:
            # The client would take leave of a server that does not answer, fail, and keep the connection.
            if changes.connection is not None:
                await changes.connection.disconnect(nowait=True)
                changes.watching = False
            raise
        finally:
            await changes.reset()

    def _down(self, error: object) -> StoreDownError:
        return StoreDownError(f"the store {self._shown} does not answer: {error}")

    async def _records(self, places: Iterable[tuple[bytes, bytes]]) -> list[Known | None]:
        keys = [keyspace.record_key(*place) for place in places]
        return [Known.read(record) for record in await self._valkey.mget(keys)] if keys else []

    async def _identities(self, swarm_id: InfoHash) -> list[bytes]:
        leeching = await self._valkey.zrange(keyspace.pool_key(swarm_id, False), 0, -1)
        seeding = await self._valkey.zrange(keyspace.pool_key(swarm_id, True), 0, -1)
        return [Contact.read(contact).identity for contact in [*leeching, *seeding]]

    async def _announce(
        self, swarm_id: InfoHash, request: AnnounceRequest, source: Source, now: float
    ) -> Answer:
        async with self._transaction() as changes:
            former, outcast = await self._watched(changes, swarm_id, request, source)
            vacated = [known.peer for known in (former, outcast) if known is not None]
            status = PeerStatus.from_event_and_left(request.event, request.left)
            interval = interval_for(await self._valkey.zcard(keyspace.DUE) + (former is None))
            peer = None
            chosen: list[bytes] = []
            strangers: list[bytes] = []
            if status is not PeerStatus.STOPPED:
                known = former.peer if former else None
                peer = renewed(known, request, source, self._room_of, now, interval)
                # The answer is drawn before a newcomer is in.
                kept = former.strangers if former else []
                chosen, strangers = await self._drawn(swarm_id, peer, vacated, kept, request.numwant)
            changes.multi()
            for gone in vacated:
                keyspace.take_out(changes, swarm_id, gone)
            if peer is not None:
                keyspace.put(changes, swarm_id, peer, strangers)
            was_seeding = former.peer.seeding if former else None
            if is_download(request, was_seeding):
                changes.hincrby(keyspace.DOWNLOADS, swarm_id, 1)
            keyspace.ask_tally(changes, swarm_id)
            tally = keyspace.tally_of(await changes.execute())
        contacts = _contacts(chosen, request, source)
        return Answer(*contacts, tally, interval, news_of(was_seeding, status))

    async def _watched(
        self, changes: Any, swarm_id: InfoHash, request: AnnounceRequest, source: Source
    ) -> tuple[Known | None, Known | None]:
        """The place that this announcer takes, and the one that is vacated by that."""
        identity = identity_of(request)
        endpoint = endpoint_of(request, source)
        keys = [keyspace.record_key(swarm_id, identity), keyspace.at_key(swarm_id, endpoint)]
        await changes.watch(*keys)
        record, holder = await changes.mget(keys)
        own = Known.read(record)
        if holder is None or holder == identity:
            return own, None
        await changes.watch(keyspace.record_key(swarm_id, holder))
        held = Known.read(await changes.get(keyspace.record_key(swarm_id, holder)))
        return place_of(own, held, holder[:20], request)

    async def _drawn(
        self, swarm_id: InfoHash, peer: Peer, vacated: list[Peer], kept: list[bytes], wanted: int
    ) -> tuple[list[bytes], list[bytes]]:
        """The contacts for this peer, and those of them that are of other rooms."""
        if not wanted:
            return [], kept
        planned = plan(await self._view(swarm_id, peer, kept), peer, vacated, wanted, self._rng)
        reading = self._valkey.pipeline(transaction=False)
        for asked in planned.ranges:
            reading.zrange(*asked)
        return settle(planned, await reading.execute() if planned.ranges else [])

    async def _view(self, swarm_id: InfoHash, peer: Peer, kept: list[bytes]) -> View:
        low, high = room_bounds(peer.room)
        pools = [keyspace.pool_key(swarm_id, seeding) for seeding in (False, True)]
        reading = self._valkey.pipeline(transaction=False)
        reading.smembers(keyspace.repository_key(swarm_id))
        for pool in pools:
            reading.zcard(pool)
            reading.zlexcount(pool, "-", b"(" + low)
            reading.zlexcount(pool, "-", b"(" + high)
        reading.zlexcount(pools[peer.seeding], b"[" + low, b"(" + Contact.of(peer).packed())
        for pool in pools[: 1 if peer.seeding else 2] if kept else ():
            reading.zmscore(pool, kept)
        repository, *found = await reading.execute()
        leeching, seeding = Stretch(pools[0], *found[:3]), Stretch(pools[1], *found[3:6])
        place = found[6]
        there = [
            one
            for one, *scores in zip(kept, *found[7:], strict=True)
            if any(score is not None for score in scores) and not low < one < high
        ]
        return View(leeching, seeding, frozenset(repository), there, place)

    async def _take_out(
        self, swarm_id: InfoHash, identity: bytes, silent_at: float | None = None
    ) -> Peer | None:
        """Take one out that is still silent then, and tell who it was; None if another tracker was first."""
        key = keyspace.record_key(swarm_id, identity)
        async with self._transaction() as changes:
            await changes.watch(key)
            known = Known.read(await changes.get(key))
            if known is not None and silent_at is not None and known.peer.valid_until > silent_at:
                return None
            changes.multi()
            if known is None:
                changes.zrem(keyspace.DUE, swarm_id + identity)
            else:
                keyspace.take_out(changes, swarm_id, known.peer)
            try:
                await changes.execute()
            except WatchError:  # it has just announced itself
                return None
        return known.peer if known else None


def _contacts(
    chosen: list[bytes], request: AnnounceRequest, source: Source
) -> tuple[list[bytes], list[bytes]]:
    """How the announcer reaches these peers: in its own family of addresses, if they have one there."""
    endpoints, peer_ids = [], []
    for _, endpoint4, endpoint6, identity in map(Contact.read, chosen):
        pair = (endpoint4, endpoint6) if len(source.address) == 4 else (endpoint6, endpoint4)
        endpoint = reachable(pair[0] or pair[1] or b"", *source)
        if endpoint is not None:
            endpoints.append(endpoint)
            if not request.compact:
                peer_ids.append(identity[:20])
    return endpoints, peer_ids
