"""One libtorrent session whose alerts are awaited; nobody else polls it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import libtorrent as lt

from ogtorrent.errors import CannotJoin
from ogtorrent.swarm import policy
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.neighbours import TICK, Air
from ogtorrent.swarm.policy import LONELY, QUEUE, Settings
from ogtorrent.swarm.torrent import Start, Torrent, places
from ogtorrent.words import words

log = logging.getLogger(__name__)

GOODBYE = 1.5  # seconds that trackers get to hear `stopped`
_ALERTS = (
    lt.alert.category_t.error_notification
    | lt.alert.category_t.status_notification
    | lt.alert.category_t.storage_notification
    | lt.alert.category_t.tracker_notification
    | lt.alert.category_t.peer_notification
)


@dataclass(frozen=True)
class Work:
    """What a session has done since it began."""

    taken: int  # bytes of images that came
    writing: float  # seconds in which it wrote them
    reached: bool  # whether anybody has ever connected to us


class Session:
    """A set of torrents behind one listening port. Make and use it in a running event loop."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self._torrents: dict[lt.torrent_handle, Torrent] = {}
        self._goodbyes: set[lt.torrent_handle] = set()
        self._read: set[lt.torrent_handle] = set()  # between the last two looks for idle files
        self._given: dict[lt.torrent_handle, int] = {}  # bytes, at the last of them
        self._silent = asyncio.Event()
        self._neighbours: asyncio.Task[None] | None = None
        self._threads: int = settings["aio_threads"]
        self._counted: asyncio.Future[Mapping[str, int]] | None = None
        self._listening: asyncio.Future[int] = self._loop.create_future()
        self._interfaces = settings["listen_interfaces"]
        self._wake, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._write = write
        pack: lt.settings_pack = {**settings, "alert_mask": _ALERTS}  # type: ignore[typeddict-item]
        self._lt = lt.session(pack)
        _treat_all_networks_alike(self._lt)
        self._loop.add_reader(self._wake, self._drain)
        self._lt.set_alert_fd(write)
        self._drain()

    async def port(self) -> int:
        """The port that the session listens on. Raises CannotJoin where it cannot."""
        return await asyncio.shield(self._listening)

    def add(
        self,
        metainfo: Metainfo,
        image: Path,
        trackers: Sequence[str],
        start: Start,
        written: bytes = b"",
        have: Collection[int] = (),
        web_seeds: Sequence[str] = (),
    ) -> Torrent:
        """Take up an image that stands, or is to stand, at `image`.

        `written`: what is known to be on disk (Written.state), of which nothing is checked. Libtorrent
        believes it whatever the files are: whoever gives it has looked. `have`: pieces that were verified
        there; where there are any, nothing else is looked for. `web_seeds`: URLs below which each file stands
        as in the metainfo (BEP 19).
        """
        params = lt.load_torrent_buffer(metainfo.raw)
        params.save_path = str(image.parent)
        params.renamed_files = dict(enumerate(places(metainfo, image)))
        params.trackers = list(trackers)
        params.url_seeds = list(web_seeds)
        params.tracker_tiers = list(range(len(trackers)))
        # Neither paused nor auto-managed: libtorrent's queue would take half a second to start it.
        params.flags = lt.torrent_flags.update_subscribe | lt.torrent_flags.apply_ip_filter
        # Who meets whom is the tracker's to say: peers that pass on addresses would have every seat of
        # one room meet every seat of the next, over the narrow cable between them.
        params.flags |= lt.torrent_flags.override_trackers | lt.torrent_flags.disable_pex
        if start is Start.WHOLE:
            # Nor does it fetch: where the files turn out to be another version's, somebody is writing them.
            params.flags |= lt.torrent_flags.seed_mode | lt.torrent_flags.upload_mode
        if start is Start.RECEIVE:
            params.flags |= lt.torrent_flags.upload_mode
        if start is Start.CHECK:
            params.flags |= lt.torrent_flags.stop_when_ready
        if written:
            _take_as_checked(params, metainfo, written)
        elif have:
            params.have_pieces = [piece in have for piece in range(metainfo.pieces)]
        handle = self._lt.add_torrent(params)
        torrent = Torrent(metainfo, handle, bool(trackers), self, start)
        self._torrents[handle] = torrent
        return torrent

    def meet_neighbours(self, address: str) -> None:
        """As a seat, from now on: meet who calls in the own room, and call while no tracker answers."""
        if ":" in address:  # there is nobody to call: rooms have IPv4
            return
        try:
            air = Air(address)
        except OSError as error:
            log.warning("no calls in the own room: %s", error)
            return
        self._neighbours = asyncio.ensure_future(self._call_and_answer(air))

    async def _call_and_answer(self, air: Air) -> None:
        with contextlib.closing(air):
            try:
                port = await self.port()
            except CannotJoin:  # which whoever opened the session is told
                return
            while True:
                by_hash = {torrent.metainfo.info_hash: torrent for torrent in self._torrents.values()}
                for caller, call in air.heard():
                    for torrent in filter(None, map(by_hash.get, call.info_hashes)):
                        torrent.connect(caller[0], call.port)
                        air.answer(caller, port, torrent.metainfo.info_hash)
                for (address, _), call in air.answers():
                    for torrent in filter(None, map(by_hash.get, call.info_hashes)):
                        torrent.connect(address, call.port)
                now = time.monotonic()
                for info_hash, torrent in by_hash.items():
                    if torrent.calls.due(torrent.is_lost, now):
                        log.info("%s: no tracker answers; calling the room", torrent.metainfo.image)
                        air.call(port, info_hash)
                await asyncio.sleep(TICK)

    async def keep_queue(self) -> None:
        """As a server: promise a long queue as long as one peer alone takes. Ends only by cancellation."""
        before, promised = 0, QUEUE
        while True:
            takers = (await self._counters())["peer.num_peers_up_interested"]
            wanted = policy.queue(takers, before)
            if wanted != promised:
                self._lt.apply_settings({"max_allowed_in_request_queue": wanted})
            before, promised = takers, wanted
            await asyncio.sleep(LONELY)

    def _keep_threads(self) -> None:
        filling = (torrent for torrent in self._torrents.values() if not torrent.is_whole)
        threads = policy.disk_threads(sum(torrent.rate for torrent in filling))
        if threads != self._threads:
            self._threads = threads
            self._lt.apply_settings({"aio_threads": threads, "hashing_threads": threads})

    def close_idle_files(self) -> None:
        """Close the files of every whole image of which nobody took a byte since the last call.

        libtorrent keeps a file open until it needs the descriptor (its close_file_interval does nothing
        with this kind of disk access), and an open file keeps its disk from being unmounted.
        """
        self._lt.post_torrent_updates()

    def _hear_updates(self, changed: Sequence[lt.torrent_status]) -> None:
        read = set()
        for status in changed:
            given = status.total_payload_upload
            if status.is_seeding and self._given.get(status.handle) != given:
                self._given[status.handle] = given
                read.add(status.handle)
        for handle in self._read - read:
            if handle in self._torrents:
                handle.flush_cache()
        self._read = read

    async def work(self) -> Work:
        counters = await self._counters()
        # Not libtorrent's count of blocks that it wrote: that has those of a whole piece, also where a
        # part of it was written. What came is written at once, but for a mebibyte.
        return Work(
            counters["net.recv_payload_bytes"],
            counters["disk.disk_write_time"] / 1e6,
            bool(counters["peer.incoming_connections"]),
        )

    async def _counters(self) -> Mapping[str, int]:
        if self._counted is None:
            self._counted = self._loop.create_future()
            self._lt.post_session_stats()
        return await asyncio.shield(self._counted)  # which others may await, too

    def _reconnect(self, handle: lt.torrent_handle, endpoint: tuple[str, int]) -> None:
        # libtorrent closes no single connection but that of an address that is blocked.
        without = lt.ip_filter()
        without.add_rule(endpoint[0], endpoint[0], 1)
        self._lt.set_ip_filter(without)
        self._lt.set_ip_filter(lt.ip_filter())
        handle.connect_peer(endpoint)

    def remove(self, torrent: Torrent) -> None:
        """Let an image go; its files stay. Its trackers are told."""
        self._torrents.pop(torrent._handle, None)
        self._given.pop(torrent._handle, None)
        self._lt.remove_torrent(torrent._handle)

    async def close(self) -> None:
        """Tell peers and trackers, for at most GOODBYE seconds, and end."""
        if self._neighbours is not None:
            self._neighbours.cancel()
        self._goodbyes = {handle for handle, torrent in self._torrents.items() if torrent.announces}
        self._lt.pause()  # closes the connections and announces `stopped` everywhere
        if self._goodbyes:
            try:
                await asyncio.wait_for(self._silent.wait(), GOODBYE)
            except TimeoutError:
                log.info("%d trackers did not answer the farewell", len(self._goodbyes))
        self._loop.remove_reader(self._wake)
        # The last reference ends it and waits for libtorrent's threads: not on the event loop.
        await asyncio.to_thread(self._end)
        os.close(self._wake)
        os.close(self._write)

    def _end(self) -> None:
        del self._lt

    def _drain(self) -> None:
        try:
            while os.read(self._wake, 4096):
                pass
        except BlockingIOError:
            pass
        for alert in self._lt.pop_alerts():
            if isinstance(alert, lt.listen_succeeded_alert | lt.listen_failed_alert):
                self._hear_listen(alert)
            elif isinstance(alert, lt.state_update_alert):
                self._hear_updates(alert.status)
            elif isinstance(alert, lt.session_stats_alert):
                if self._counted is not None:
                    self._counted.set_result(alert.values)
                    self._counted = None
            elif isinstance(alert, lt.torrent_alert):
                torrent = self._torrents.get(alert.handle)
                if torrent is not None:
                    torrent._hear(alert)
                if self._goodbyes and isinstance(alert, lt.tracker_reply_alert | lt.tracker_error_alert):
                    self._goodbyes.discard(alert.handle)
                    if not self._goodbyes:
                        self._silent.set()

    def _hear_listen(self, alert: lt.listen_succeeded_alert | lt.listen_failed_alert) -> None:
        if self._listening.done():
            return
        if isinstance(alert, lt.listen_succeeded_alert):
            self._listening.set_result(alert.port)
        elif not self._lt.is_listening():
            self._listening.set_exception(
                CannotJoin(
                    words("a swarm on {place}", place=self._interfaces),
                    alert.error.message(),
                    words("Give another address or port, or end the program that holds it."),
                )
            )


def _take_as_checked(params: lt.add_torrent_params, metainfo: Metainfo, written: bytes) -> None:
    try:
        known = lt.read_resume_data(written)
    except RuntimeError as error:  # then all is checked
        log.warning("%s: what was noted of it is not readable: %s", metainfo.image, error)
        return
    params.have_pieces = known.have_pieces[: metainfo.pieces]
    params.unfinished_pieces = known.unfinished_pieces


def _treat_all_networks_alike(session: lt.session) -> None:
    """Take private addresses out of the class that libtorrent exempts from limits and slots.

    Many universities give their PCs public addresses: a policy must not lean on the range.
    """
    everywhere = lt.ip_filter()
    only_global = 1 << session.global_peer_class_id
    everywhere.add_rule("0.0.0.0", "255.255.255.255", only_global)
    everywhere.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", only_global)
    session.set_peer_class_filter(everywhere)
