"""An image in a session: how far it is, whom it meets, and its alerts as things to await."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import libtorrent as lt

from ogtorrent.errors import OgtorrentError, UpdateFailed
from ogtorrent.swarm import policy
from ogtorrent.swarm.ledger import Ledger
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.neighbours import Schedule
from ogtorrent.swarm.policy import AGENT, ALL, CONTENT, LONELY, QUEUE
from ogtorrent.swarm.sight import Neighbour, Progress, Sight, Written
from ogtorrent.words import words

if TYPE_CHECKING:
    from ogtorrent.swarm.session import Session

log = logging.getLogger(__name__)

T = TypeVar("T")

_ANNOUNCE_SKIPPED = 180  # in libtorrent's <error_code.hpp>, without a name in Python
FRESH = 1.5  # seconds for which a look at the peers is good enough to be told


class Start(Enum):
    """What is known of the files when a torrent is added."""

    WHOLE = "whole"  # every byte is there; each piece is checked when it is first asked for
    FILL = "fill"  # whatever is there is checked, the rest is fetched
    RECEIVE = "receive"  # the same, but the rest comes by another way until `ask_the_swarm`
    CHECK = "check"  # whatever is there is checked, nothing is fetched


@dataclass(frozen=True)
class _Look:
    at: float  # monotonic seconds
    status: lt.torrent_status
    peers: Sequence[lt.peer_info]


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
        start: Start,
    ) -> None:
        self.metainfo = metainfo
        self.announces = announces  # whether a tracker knows of it
        self._handle = handle
        self._ledger = Ledger()
        self._stripe = ALL
        self._is_seed = start is Start.WHOLE
        self._session = session
        self.rate = 0  # bytes a second, when it was last looked at
        self._resting = False
        self._alone_since: float | None = None
        self._content_until = 0.0  # with its queue, whatever its length
        self._last: _Look | None = None
        self._checked = asyncio.Event()
        self._whole = asyncio.Event()
        self._flushed = asyncio.Event()
        self._answered = asyncio.Event()  # by the tracker, since it is whole
        self._written: asyncio.Future[Written | None] | None = None
        self._renames: dict[int, asyncio.Future[None]] = {}
        self._trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # A torrent whose trouble nobody awaits (a seed's) has it logged; asyncio need not warn.
        self._trouble.add_done_callback(lambda trouble: trouble.cancelled() or trouble.exception())
        self.tracker_trouble = ""  # what the tracker said last, where it was a refusal or none
        self.is_refused = False  # by the tracker, which does not know this version any more
        self._tracker_is_there = False
        self.damaged = 0  # bytes of a seed that are not what was published
        self.web_trouble = ""  # why a web seed will give nothing any more
        self.calls = Schedule()

    async def checked(self) -> bool:
        """Wait for the check of what is on disk; True where it is whole. Raises DiskTrouble."""
        await self._until(self._checked)
        return bool(self._handle.status().is_seeding)

    @property
    def is_whole(self) -> bool:
        return self._whole.is_set()

    @property
    def is_lost(self) -> bool:
        """Whether it wants peers, and no tracker is there to name some."""
        return self.announces and self._checked.is_set() and not (self.is_whole or self._tracker_is_there)

    async def whole(self, timeout: float) -> bool:
        """Wait until every piece is verified; False when `timeout` seconds passed before.

        Raises DiskTrouble.
        """
        try:
            await asyncio.wait_for(self._until(self._whole), timeout)
        except TimeoutError:
            return False
        return True

    async def reported(self, timeout: float) -> None:
        """Wait until the tracker knows that it is whole, for at most `timeout` seconds.

        libtorrent tells a tracker no `stopped` while it is telling it `completed`.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), timeout)

    async def flushed(self) -> None:
        """Wait until libtorrent has handed every byte to the kernel. Raises DiskTrouble."""
        self._flushed.clear()
        self._handle.flush_cache()
        await self._until(self._flushed)

    async def written(self) -> Written | None:
        """What the kernel has of the image. Raises DiskTrouble.

        None while it is checked, and once it is whole, to be made durable as such.
        """
        self._written = asyncio.get_running_loop().create_future()
        self._handle.save_resume_data()
        await asyncio.wait((self._written, self._trouble), return_when=asyncio.FIRST_COMPLETED)
        if self._trouble.done():
            self._trouble.result()
        return self._written.result()

    def fail(self, error: OgtorrentError) -> None:
        """Raise this to whoever waits for the image; what was raised first stays."""
        if not self._trouble.done():  # every block that a peer had asked for fails by itself
            log.error("%s: %s", self.metainfo.image, error)
            self._trouble.set_exception(error)

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

    @property
    def failed(self) -> bool:
        """Whether it stands still, for its disk failed it or its files are gone."""
        return self._trouble.done()

    def has(self, piece: int) -> bool:
        return self._handle.have_piece(piece)

    def take(self, piece: int, data: bytes) -> None:
        """A piece that came by another way; its hash is checked once more. From any thread."""
        self._handle.add_piece(piece, data, 0)

    def ask_the_swarm(self) -> None:
        """After a RECEIVE, in which it only gave: fetch what is missing."""
        self._handle.unset_flags(lt.torrent_flags.upload_mode)

    def announce(self, trackers: Sequence[str]) -> None:
        """From now on be known to these trackers."""
        self.announces = bool(trackers)
        self._handle.replace_trackers([lt.announce_entry(url) for url in trackers])

    def rest(self, resting: bool) -> None:
        """Leave the swarm for a while, or come back."""
        if resting is not self._resting:
            self._resting = resting
            if resting:
                self._handle.pause()
            else:
                self._handle.resume()

    def connect(self, address: str, port: int) -> None:
        """Meet a peer without waiting for the tracker."""
        self._handle.connect_peer((address, port))

    def follow(self) -> Progress:
        """Look at the peers and tell how far it is; keep to this seat's stripe as the room changes."""
        look = self._look()
        status, peers = look.status, look.peers
        checking = status.state in (
            lt.torrent_status.checking_files,
            lt.torrent_status.checking_resume_data,
        )
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

    def sight(self) -> Sight:
        """What `follow` saw, if that was just now; it costs the session's thread less than another look."""
        last = self._last
        look = last if last is not None and time.monotonic() - last.at < FRESH else self._look()
        return Sight(
            done=look.status.total_wanted_done,
            taken=look.status.total_payload_download,
            given=look.status.total_payload_upload,
            neighbours=[
                Neighbour(peer.ip[0], peer.ip[1], peer.total_download, peer.total_upload)
                for peer in look.peers
            ],
            availability=self._handle.piece_availability(),
        )

    def company(self) -> tuple[int, int]:
        """How many peers are connected, and how many of them want something of us."""
        peers = [peer for peer in self._handle.get_peer_info() if not peer.flags & lt.peer_info.connecting]
        return len(peers), sum(bool(peer.flags & lt.peer_info.remote_interested) for peer in peers)

    @property
    def trackers(self) -> list[str]:
        return [tracker["url"] for tracker in self._handle.trackers()]

    def _look(self) -> _Look:
        peers = [peer for peer in self._handle.get_peer_info() if not peer.flags & lt.peer_info.connecting]
        self._last = _Look(time.monotonic(), self._handle.status(), peers)
        return self._last

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

    def _only_what_is_written(self, state: lt.add_torrent_params) -> Written | None:
        have = state.have_pieces
        if len(have) < self.metainfo.pieces or all(have):
            return None
        only = lt.add_torrent_params()  # without what changes by itself: counters, times, peers
        only.info_hashes = state.info_hashes
        only.have_pieces, only.unfinished_pieces = have, state.unfinished_pieces
        blocks = sum(map(sum, state.unfinished_pieces.values()))
        done = sum(have) * self.metainfo.piece_length + blocks * policy.BLOCK
        return Written(done, lt.write_resume_data_buf(only))

    def _hear(self, alert: lt.torrent_alert) -> None:
        match alert:
            case lt.torrent_checked_alert():
                self._checked.set()
                self._look_whether_it_stands()
            case lt.torrent_finished_alert():
                self._answered.clear()
                self._whole.set()
            case lt.cache_flushed_alert():
                self._flushed.set()
            case lt.save_resume_data_alert():
                _settle(self._written, self._only_what_is_written(alert.params))
            case lt.save_resume_data_failed_alert():
                _settle(self._written, None)
            case lt.file_renamed_alert():
                _settle(self._renames.get(alert.index), None)
            case lt.file_rename_failed_alert():
                trouble = DiskTrouble(alert.error.value(), self.metainfo.image.name, alert.error.message())
                _settle(self._renames.get(alert.index), trouble)
            case lt.file_error_alert():
                self.fail(DiskTrouble(alert.error.value(), alert.filename(), alert.error.message()))
            case lt.torrent_error_alert():
                self.fail(
                    UpdateFailed(str(self.metainfo.image), alert.error.message(), words("Run this again."))
                )
            case lt.tracker_error_alert() if _is_skipped(alert.error):
                pass  # by another socket, such as loopback's, which cannot reach this tracker at all
            case lt.tracker_error_alert():
                refusal = alert.failure_reason()
                self.tracker_trouble = refusal or alert.error.message()
                self._answered.set()
                self.is_refused = self._tracker_is_there = bool(refusal)
            case lt.tracker_reply_alert():
                self._answered.set()
                self.is_refused = False
                self.tracker_trouble = ""
                self._tracker_is_there = True
            case lt.url_seed_alert():
                self.web_trouble = alert.error_message() or alert.error.message()
            case lt.hash_failed_alert():
                log.warning("%s: piece %d did not verify", self.metainfo.image, alert.piece_index)
            case lt.peer_ban_alert():
                log.warning(
                    "%s: %s was banned, what it sent did not verify", self.metainfo.image, alert.endpoint[0]
                )

    def _look_whether_it_stands(self) -> None:
        """A seed is checked when a piece of it is not what was published; then it seeds what is."""
        if not self._is_seed:
            return
        status = self._handle.status()
        if not status.is_seeding:
            self.damaged = left = self.metainfo.size - status.total_wanted_done
            log.error(
                "%s: %d of its bytes are not what was published or cannot be read, and are not seeded; "
                "check the disk and write the image anew",
                self.metainfo.image,
                left,
            )


def _is_skipped(error: lt.error_code) -> bool:
    return error.category() == lt.libtorrent_category() and error.value() == _ANNOUNCE_SKIPPED


def _settle(future: asyncio.Future[T] | None, result: T | Exception) -> None:
    if future is None or future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def places(metainfo: Metainfo, image: Path) -> Iterator[str]:
    """Where each file of an image stands when the image stands at `image`."""
    for file in metainfo.files:
        yield str(image.joinpath(*metainfo.within(file)))
