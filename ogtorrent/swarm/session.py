"""One libtorrent session whose alerts are awaited; nobody else polls it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from pathlib import Path

import libtorrent as lt

from ogtorrent.errors import CannotJoin, OgtorrentError, UpdateFailed
from ogtorrent.swarm import policy
from ogtorrent.swarm.ledger import Ledger
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.policy import AGENT, ALL, CONTENT, LONELY, QUEUE, Settings
from ogtorrent.words import words

log = logging.getLogger(__name__)

GOODBYE = 1.5  # seconds that trackers get to hear `stopped`
_ALERTS = (
    lt.alert.category_t.error_notification
    | lt.alert.category_t.status_notification
    | lt.alert.category_t.storage_notification
    | lt.alert.category_t.tracker_notification
)


class Start(Enum):
    """What is known of the files when a torrent is added."""

    WHOLE = "whole"  # every byte is there; each piece is checked when it is first asked for
    FILL = "fill"  # whatever is there is checked, the rest is fetched
    CHECK = "check"  # whatever is there is checked, nothing is fetched


@dataclass(frozen=True)
class Progress:
    """A torrent now: bytes, and bytes received by address.

    While `checking`, `done` is what was read; afterwards, what was verified.
    """

    checking: bool
    done: int
    size: int
    peers: int
    given: dict[str, int]


class DiskTrouble(OgtorrentError):
    """A read or write failed; `code` is the errno."""

    def __init__(self, code: int, path: str, message: str) -> None:
        self.code, self.path = code, path
        super().__init__(f"{path}: {message}.")


class Torrent:
    """An image in a session."""

    def __init__(
        self,
        metainfo: Metainfo,
        handle: lt.torrent_handle,
        announces: bool,
        session: Session,
    ) -> None:
        self.metainfo = metainfo
        self.announces = announces  # whether a tracker knows of it
        self._handle = handle
        self._ledger = Ledger()
        self._stripe = ALL
        self._session = session
        self.rate = 0  # bytes a second, when it was last looked at
        self._alone_since: float | None = None
        self._content_until = 0.0  # with its queue, whatever its length
        self._checked = asyncio.Event()
        self._whole = asyncio.Event()
        self._flushed = asyncio.Event()
        self._renames: dict[int, asyncio.Future[None]] = {}
        self._trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # A torrent whose trouble nobody awaits (a seed's) has it logged; asyncio need not warn.
        self._trouble.add_done_callback(lambda trouble: trouble.cancelled() or trouble.exception())
        self.tracker_trouble = ""  # what the tracker said last, where it was a refusal

    async def checked(self) -> bool:
        """Wait for the check of what is on disk; True where it is whole. Raises DiskTrouble."""
        await self._until(self._checked)
        return bool(self._handle.status().is_seeding)

    @property
    def is_whole(self) -> bool:
        return self._whole.is_set()

    async def whole(self, timeout: float) -> bool:
        """Wait until every piece is verified; False when `timeout` seconds passed before.

        Raises DiskTrouble.
        """
        try:
            await asyncio.wait_for(self._until(self._whole), timeout)
        except TimeoutError:
            return False
        return True

    async def flushed(self) -> None:
        """Wait until libtorrent has handed every byte to the kernel. Raises DiskTrouble."""
        self._flushed.clear()
        self._handle.flush_cache()
        await self._until(self._flushed)

    async def rename(self, image: Path) -> None:
        """Tell the session that the image stands at another path now. Raises DiskTrouble.

        The files were moved already; libtorrent's own move finds two names of one file and leaves
        both, which rename(2) promises.
        """
        loop = asyncio.get_running_loop()
        for index, path in enumerate(places(self.metainfo, image)):
            self._renames[index] = loop.create_future()
            self._handle.rename_file(index, path)
        await asyncio.gather(*self._renames.values())
        self._renames.clear()

    def go_on(self) -> None:
        """After a CHECK: seed what is whole, fetch what it found missing."""
        self._handle.unset_flags(lt.torrent_flags.stop_when_ready)
        self._handle.resume()

    def connect(self, address: str, port: int) -> None:
        """Meet a peer without waiting for the tracker."""
        self._handle.connect_peer((address, port))

    def follow(self) -> Progress:
        """Look at the peers and tell how far it is; keep to this seat's stripe as the room changes."""
        status = self._handle.status()
        checking = status.state in (
            lt.torrent_status.checking_files,
            lt.torrent_status.checking_resume_data,
        )
        peers = [peer for peer in self._handle.get_peer_info() if not peer.flags & lt.peer_info.connecting]
        self._ledger.observe({peer.ip: peer.total_download for peer in peers})
        self._keep_to_stripe(peers)
        self._keep_queue(peers, time.monotonic())
        self.rate = status.download_payload_rate
        self._session._keep_threads()
        return Progress(
            checking=checking,
            done=int(status.progress * self.metainfo.size) if checking else status.total_wanted_done,
            size=self.metainfo.size,
            peers=len(peers),
            given=self._ledger.given(),
        )

    def _keep_to_stripe(self, peers: Sequence[lt.peer_info]) -> None:
        if not peers:
            return
        # Our own address as the others see it: a connection tells.
        own = ip_address(peers[0].local_endpoint()[0])
        filling = {
            ip_address(peer.ip[0])
            for peer in peers
            if peer.client.startswith(AGENT.encode())
            and not peer.flags & (lt.peer_info.seed | lt.peer_info.upload_only)
        }
        found = policy.stripe(own, filling)
        if found != self._stripe:
            self._stripe = found
            log.info("%s: %s", self.metainfo.image, found)
            self._handle.prioritize_pieces(policy.priorities(self.metainfo.pieces, found))

    def _keep_queue(self, peers: Sequence[lt.peer_info], now: float) -> None:
        """Alone with the repository, long enough for it to notice: shake hands again, for a longer queue."""
        asked = lt.peer_info.seed | lt.peer_info.outgoing_connection | lt.peer_info.interesting
        alone = (
            len(peers) == 1
            and peers[0].flags & asked == asked
            and 0 < peers[0].download_queue_length <= QUEUE
            and peers[0].client.startswith(AGENT.encode())
        )
        if not alone:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since > 2 * LONELY and now > self._content_until:
            self._content_until = now + CONTENT
            self._session._reconnect(self._handle, peers[0].ip)

    async def _until(self, event: asyncio.Event) -> None:
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((waiting, self._trouble), return_when=asyncio.FIRST_COMPLETED)
            if self._trouble.done():
                self._trouble.result()
        finally:
            waiting.cancel()

    def _hear(self, alert: lt.torrent_alert) -> None:
        match alert:
            case lt.torrent_checked_alert():
                self._checked.set()
            case lt.torrent_finished_alert():
                self._whole.set()
            case lt.cache_flushed_alert():
                self._flushed.set()
            case lt.file_renamed_alert():
                _settle(self._renames.get(alert.index))
            case lt.file_rename_failed_alert():
                trouble = DiskTrouble(alert.error.value(), self.metainfo.image.name, alert.error.message())
                _settle(self._renames.get(alert.index), trouble)
            case lt.file_error_alert():
                self._fail(DiskTrouble(alert.error.value(), alert.filename(), alert.error.message()))
            case lt.torrent_error_alert():
                self._fail(
                    UpdateFailed(str(self.metainfo.image), alert.error.message(), words("Run this again."))
                )
            case lt.tracker_error_alert():
                self.tracker_trouble = alert.failure_reason() or alert.error.message()
            case lt.tracker_reply_alert():
                self.tracker_trouble = ""
            case lt.hash_failed_alert():
                log.warning("%s: piece %d did not verify", self.metainfo.image, alert.piece_index)

    def _fail(self, error: OgtorrentError) -> None:
        log.error("%s: %s", self.metainfo.image, error)
        if not self._trouble.done():
            self._trouble.set_exception(error)


def _settle(future: asyncio.Future[None] | None, error: Exception | None = None) -> None:
    if future is None or future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def places(metainfo: Metainfo, image: Path) -> Iterator[str]:
    """Where each file of an image stands when the image stands at `image`."""
    for file in metainfo.files:
        yield str(image.joinpath(*metainfo.within(file)))


class Session:
    """A set of torrents behind one listening port. Make and use it in a running event loop."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self._torrents: dict[lt.torrent_handle, Torrent] = {}
        self._goodbyes: set[lt.torrent_handle] = set()
        self._silent = asyncio.Event()
        self._threads: int = settings["aio_threads"]
        self._counted: asyncio.Future[int] = self._loop.create_future()
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

    def add(self, metainfo: Metainfo, image: Path, trackers: Sequence[str], start: Start) -> Torrent:
        """Take up an image that stands, or is to stand, at `image`."""
        params = lt.load_torrent_buffer(metainfo.raw)
        params.save_path = str(image.parent)
        params.renamed_files = dict(enumerate(places(metainfo, image)))
        params.trackers = list(trackers)
        params.tracker_tiers = list(range(len(trackers)))
        # Neither paused nor auto-managed: libtorrent's queue would take half a second to start it.
        params.flags = lt.torrent_flags.update_subscribe | lt.torrent_flags.apply_ip_filter
        # Who meets whom is the tracker's to say: peers that pass on addresses would have every seat of
        # one room meet every seat of the next, over the narrow cable between them.
        params.flags |= lt.torrent_flags.override_trackers | lt.torrent_flags.disable_pex
        if start is Start.WHOLE:
            params.flags |= lt.torrent_flags.seed_mode
        if start is Start.CHECK:
            params.flags |= lt.torrent_flags.stop_when_ready
        handle = self._lt.add_torrent(params)
        torrent = Torrent(metainfo, handle, bool(trackers), self)
        self._torrents[handle] = torrent
        return torrent

    async def keep_queue(self) -> None:
        """As a server: promise a long queue as long as one peer alone takes. Ends only by cancellation."""
        before, promised = 0, QUEUE
        while True:
            takers = await self._takers()
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

    async def _takers(self) -> int:
        self._counted = self._loop.create_future()
        self._lt.post_session_stats()
        return await self._counted

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
        self._lt.remove_torrent(torrent._handle)

    async def close(self) -> None:
        """Tell peers and trackers, for at most GOODBYE seconds, and end."""
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
            elif isinstance(alert, lt.session_stats_alert):
                if not self._counted.done():  # whoever waited may have been cancelled
                    self._counted.set_result(alert.values["peer.num_peers_up_interested"])
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


def _treat_all_networks_alike(session: lt.session) -> None:
    """Take private addresses out of the class that libtorrent exempts from limits and slots.

    Many universities give their PCs public addresses: a policy must not lean on the range.
    """
    everywhere = lt.ip_filter()
    only_global = 1 << session.global_peer_class_id
    everywhere.add_rule("0.0.0.0", "255.255.255.255", only_global)
    everywhere.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", only_global)
    session.set_peer_class_filter(everywhere)
