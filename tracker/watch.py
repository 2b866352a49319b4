"""The eye on all swarms: takes their picture each second, hears what seats report, and keeps the history."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from tracker.allowlist import AllowList, Published
from tracker.classroom import following
from tracker.classroom.deploying import Deploying
from tracker.classroom.following import Following
from tracker.classroom.history import History
from tracker.classroom.record import DeploymentRecord
from tracker.classroom.report import Report
from tracker.classroom.snapshot import Snapshot, SwarmPicture, natural
from tracker.networks import Networks
from tracker.request import InfoHash
from tracker.swarm.state import StateError
from tracker.swarm.store import Store, StoreDownError

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds from look to look; and how much longer than a look the pause is, so that looks take 3 % at most.
_PAUSE = 1.0
_REST = 30
# How many seats are looked at before the next announce may be answered.
_BATCH = 50
_SAVE_PAUSE = 10.0  # seconds between two saves of what runs
RESUME_WITHIN = 300.0  # seconds; a tracker that was away for longer sees another deployment
_CLOCK_WAS_SET = 1.0  # seconds
# Reports that all seats together send in a second, and the seconds between two of one seat.
_MOST_REPORTS_PER_SECOND = 40
_SHORTEST_REPORT_PAUSE = 3


class Watch:
    """`clock` is the tracker's, which never goes back; `wall` tells seconds since 1970."""

    def __init__(
        self,
        allow_list: AllowList,
        store: Store,
        networks: Networks,
        history: History,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.history = history
        self._allow_list, self._store, self._networks = allow_list, store, networks
        self._clock, self._wall = clock, wall
        self._followed: dict[InfoHash, Following] = {}
        self._under_way = 0  # seats that were so at the last look, in all swarms
        self._interrupted: dict[str, tuple[DeploymentRecord, float]] = {}
        self._looking = asyncio.Lock()
        self._next: asyncio.Future[Snapshot] | None = None
        self._unkept: dict[str, Deploying] = {}  # deployments whose end is not in the history
        self._saved = float("-inf")
        self._told = ""
        self._zero = wall() - clock()

    def hear(self, published: Published, endpoint: bytes, report: Report) -> int:
        """Take in a report; returns the seconds until the next is wanted."""
        if published.shown:
            self._following(published).hear(endpoint, report, self._clock())
        return max(_SHORTEST_REPORT_PAUSE, self._under_way // _MOST_REPORTS_PER_SECOND)

    def finished(self, published: Published, endpoint: bytes) -> None:
        """Take in that a client announced its last byte."""
        if published.shown:
            self._following(published).finish(endpoint, self._clock())

    async def picture(self, whole: bool = True) -> Snapshot:
        """All swarms at this moment; if it need not be whole, without the seats of those that nobody follows.

        Raises StoreDownError.
        """
        async with self._looking:
            published = self._allow_list.published
            interval = await self._store.interval()
            swarms = [await self._look_at(entry, interval, whole) for entry in published]
            for gone in self._followed.keys() - {entry.swarm_id for entry in published}:
                self._followed.pop(gone).end()
            self._under_way = sum(followed.under_way for followed in self._followed.values())
        swarms.sort(key=lambda swarm: (not swarm.filling, not swarm.seats, natural(swarm.name)))
        seen = {seat.address for swarm in swarms for seat in swarm.seats}
        unseen = tuple(pc for pc in self._networks.listed if pc.address not in seen)
        return Snapshot(self._clock() + self._epoch(), interval, tuple(swarms), unseen)

    async def next_picture(self) -> Snapshot:
        """The picture of the next look, for whoever wants each. Raises StoreDownError."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._next)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look each second while the block runs; deployments that run at its end are resumed soon after."""
        await self._recall()
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            if self._next is not None:
                self._next.cancel()
            await self._keep(everything=True)
            self.history.close()

    async def _watch(self) -> None:
        while True:
            began, rest = time.perf_counter(), 0.0
            try:
                snapshot = await self.picture(whole=self._next is not None)
                rest = _REST * (time.perf_counter() - began)
                self._show(snapshot)
                await self._keep()
            except StoreDownError as error:  # whoever expires the silent tells of it
                self._show(error)
            except Exception:
                log.exception("internal error while the swarms are looked at")
            await asyncio.sleep(max(_PAUSE, rest))

    def _show(self, snapshot: Snapshot | StoreDownError) -> None:
        waiting, self._next = self._next, None
        if waiting is None:
            return
        if isinstance(snapshot, StoreDownError):
            waiting.set_exception(snapshot)
        else:
            waiting.set_result(snapshot)

    async def _look_at(self, entry: Published, interval: int, whole: bool) -> SwarmPicture:
        followed = self._following(entry)
        tally = await self._store.tally(entry.swarm_id)
        if tally.complete + tally.incomplete <= following.MOST:
            peers = await self._store.peers(entry.swarm_id)
            now, epoch = self._clock(), self._epoch()
            await _at_leisure(followed.follow(peers, interval, now, epoch))
            if followed.deploying is not None and followed.deploying.ended is None:
                self._unkept[followed.deploying.id] = followed.deploying
            seats = await _at_leisure(followed.seats(now, epoch))
        else:
            followed.lose_sight()
            peers = await self._store.peers(entry.swarm_id) if whole else []
            now, epoch = self._clock(), self._epoch()
            seats = await _at_leisure(followed.at_a_glance(peers, now, epoch))
        return followed.picture(seats, tally, now, epoch)

    def _following(self, entry: Published) -> Following:
        followed = self._followed.get(entry.swarm_id)
        if followed is None:
            followed = Following(entry, self._networks, self._interrupted.pop(entry.name, None))
            self._followed[entry.swarm_id] = followed
        followed.published = entry  # it may have another name by now
        return followed

    def _epoch(self) -> float:
        """The moment at which the tracker's clock was zero; the same each time, unless the time was set."""
        epoch = self._wall() - self._clock()
        if abs(epoch - self._zero) > _CLOCK_WAS_SET:
            self._zero = epoch
        return self._zero

    async def _recall(self) -> None:
        now = self._wall()
        try:
            await self.history.end_those_saved_before(now - RESUME_WITHIN)
            for record, saved in await self.history.unfinished():
                self._interrupted[record.deployment.image] = record, saved + RESUME_WITHIN
        except StateError as error:
            self._tell(str(error))

    async def _keep(self, everything: bool = False) -> None:
        now = self._clock()
        due = everything or now - self._saved >= _SAVE_PAUSE
        try:
            for deploying in list(self._unkept.values()):
                if due or deploying.ended is not None:
                    await self.history.save(deploying.record(self._epoch()), self._wall())
                    if deploying.ended is not None:
                        del self._unkept[deploying.id]
            if due:
                self._saved = now
                await self.history.end_those_saved_before(self._wall() - RESUME_WITHIN)
            self._tell("")
        except StateError as error:
            self._tell(str(error))

    def _tell(self, trouble: str) -> None:
        if trouble != self._told:  # once, not every second
            log.error("%s", trouble) if trouble else log.info("no longer: %s", self._told)
        self._told = trouble


async def _at_leisure(steps: Iterable[T]) -> list[T]:
    """All of them, but announces are answered in between."""
    taken = []
    for step in steps:
        taken.append(step)
        if not len(taken) % _BATCH:
            await asyncio.sleep(0)
    return taken
