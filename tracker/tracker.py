"""The tracker without a network: who may ask, for what, and what is answered. Both front ends ask here."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tracker import access
from tracker.allowlist import AllowList, Published
from tracker.classroom.report import Report, ReportError
from tracker.classroom.snapshot import Snapshot, SwarmPicture
from tracker.networks import Networks, address_text, packed_address
from tracker.request import AnnounceRequest, InfoHash, RefusalError
from tracker.swarm.peer import Answer, News, Source, Tally, endpoint_of
from tracker.swarm.state import StateError
from tracker.swarm.store import Store, StoreDownError
from tracker.watch import Watch

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two looks for seats that have fallen silent.
_EXPIRY_PAUSE = 1.0
# How many are looked at before the next announce may be answered.
_EXPIRY_BATCH = 200
_RETRY_MINUTES = 1
_RETRY_MINUTES_ELSEWHERE = 30
# Characters of what somebody sent that are shown to people.
_LONGEST_QUOTE = 50


@dataclass(frozen=True, slots=True)
class Tracker:
    """What the front ends work on. `clock` counts seconds and never goes back."""

    allow_list: AllowList
    store: Store
    networks: Networks
    watch: Watch
    clock: Callable[[], float]
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def source(
        self, address: bytes, reached_at: bytes, claimed: bytes | None, forwarded: Sequence[str] = ()
    ) -> Source:
        """Who is announcing: the other end of the connection, unless that is a proxy that is trusted.

        `forwarded` are the addresses of `X-Forwarded-For`, the last hop last: each was written by the one
        after it, so one that is not trusted ends the walk, and what stands before it is only its own word.
        `claimed` is the `ip` of the announce. Raises RefusalError.
        """
        for hop in reversed(forwarded):
            if not self.networks.speaks_for_others(address):
                break
            before = packed_address(hop)
            if before is None:
                raise RefusalError(
                    f"the proxy {address_text(address)} says that you are {hop[:_LONGEST_QUOTE]!r}, "
                    "which is no address; its administrator can mend that (X-Forwarded-For)",
                    _RETRY_MINUTES_ELSEWHERE,
                )
            address = before
        if claimed is not None and self.networks.speaks_for_others(address):
            address = claimed
        if not self.networks.may_announce(address):
            raise RefusalError(
                f"your address {address_text(address)} is in no network that may announce here; "
                "the tracker's administrator can allow it (--allow)",
                _RETRY_MINUTES_ELSEWHERE,
            )
        return Source(address, reached_at)

    def answers_at_once(self, info_hash: InfoHash | None) -> bool:
        """Whether `announce` of this hash, or `scrape` (None), has nothing to wait for."""
        return self.store.at_once and (info_hash is None or self.allow_list.find(info_hash) is not None)

    async def announce(self, request: AnnounceRequest, source: Source, door: str) -> Answer:
        """Answer an announce; raises RefusalError and StoreDownError."""
        published = self.allow_list.find(request.info_hash)
        if published is None:
            published = await self.allow_list.find_or_rescan(request.info_hash)
        if published is None:
            raise RefusalError(f"torrent {request.info_hash.hex()} is not published here", _RETRY_MINUTES)
        answer = await self.store.announce(published.swarm_id, request, source, self.clock())
        self.counts[door, "announce"] += 1
        access.announced(door, published.name, request, source, answer)
        if answer.news is News.FINISHED:
            self.watch.finished(published, endpoint_of(request, source))
        return answer

    async def scrape(self, wanted: tuple[InfoHash, ...], source: Source, door: str) -> dict[InfoHash, Tally]:
        """The tallies of those that are published (BEP 48); of all, where nothing is asked for."""
        self.counts[door, "scrape"] += 1
        access.scraped(door, source, len(wanted))
        if not wanted:
            wanted = tuple(entry.swarm_id for entry in self.allow_list.published)
        # An unknown hash has no entry in the reply, and no client waits for a rescan.
        found = {info_hash: self.allow_list.find(info_hash) for info_hash in wanted}
        return {
            info_hash: await self.store.tally(entry.swarm_id)
            for info_hash, entry in found.items()
            if entry is not None
        }

    def refused(self, door: str, what: str, who: str, why: Exception) -> None:
        """Count and tell of a request that is not served."""
        self.counts[door, "refused"] += 1
        access.refused(door, what, who, why)

    async def report(self, report: Report, source: Source) -> int:
        """Take in what a seat tells of itself; returns the seconds until the next. Raises ReportError."""
        published = await self.allow_list.find_or_rescan(report.info_hash)
        if published is None:
            raise ReportError(f"torrent {report.info_hash.hex()} is not published here")
        endpoint = source.address + report.port.to_bytes(2)
        return self.watch.hear(published, endpoint, report)

    async def picture(self) -> Snapshot:
        """All swarms at one moment. Raises StoreDownError."""
        await self._expire()
        return await self.watch.picture()

    async def picture_of(self, info_hash: InfoHash) -> SwarmPicture | None:
        """One swarm, under any of its hashes; None if it is not published."""
        entry = self.allow_list.find(info_hash)
        if entry is None:
            return None
        swarms = (await self.picture()).swarms
        return next((swarm for swarm in swarms if swarm.info_hash == entry.swarm_id), None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have the folder read and watched and silent seats forgotten. Raises OSError if it is unreadable."""
        watcher = asyncio.create_task(self.allow_list.watch())
        # The watch begins in the task's first step. Only a scan after that sees what the watch does not.
        await asyncio.sleep(0)
        keeper: asyncio.Task[None] | None = None
        try:
            await self.allow_list.rescan()
            keeper = asyncio.create_task(self._keep())
            async with self.watch.running():
                yield
        finally:
            await _cancel(watcher)
            if keeper is not None:
                await _cancel(keeper)
            await self.allow_list.close()
            try:
                await self.store.close()
            except StateError as error:
                log.error("%s", error)

    async def _keep(self) -> None:
        known: set[InfoHash] = set()
        published: tuple[Published, ...] = ()
        told = ""
        while True:
            try:
                if self.allow_list.served is not published:
                    now_published = self.allow_list.served
                    now_known = {entry.swarm_id for entry in now_published}
                    for gone in known - now_known:
                        await self.store.withdraw(gone)
                    published, known = now_published, now_known
                await self._expire()
                await self.store.save()
                if told:
                    log.info("no longer: %s", told)
                told = ""
            except (StateError, StoreDownError) as error:
                if str(error) != told:  # once, not every second
                    told = str(error)
                    log.error("%s", error)
            except Exception:
                log.exception("internal error while seats expire")
            await asyncio.sleep(_EXPIRY_PAUSE)

    async def _expire(self) -> None:
        more = True
        while more:
            now = self.clock()
            lost, more = await self.store.expire(now, _EXPIRY_BATCH)
            for swarm_id, peer in lost:
                entry = self.allow_list.find(swarm_id)
                access.lost(entry.name if entry else swarm_id.hex(), peer, now)
            await asyncio.sleep(0)


def without_waiting(answer: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for: a task would take as long as the answer."""
    try:
        answer.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    answer.close()
    raise RuntimeError("an answer that should come at once has to wait")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
