"""Images of another repository, through its swarm: this server is a peer there, while it fetches.

It takes and does not give: what it gave would cross the uplink that is to carry each image once. Nor does
it stay: seats of this repository meet its own seed, by its own tracker.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ogtorrent.errors import CannotJoin, HostileMetainfo, MirrorFailed, NotWritable, OgtorrentError
from ogtorrent.fetch import catalogue
from ogtorrent.fetch.catalogue import Listed
from ogtorrent.fetch.partial import make_durable, prepare
from ogtorrent.fetch.safe import kept_safe, on_disk
from ogtorrent.fetch.server import Server
from ogtorrent.fetch.sharing import Sharing
from ogtorrent.repository.mirror import shelf as shelves
from ogtorrent.repository.mirror.plan import Brought
from ogtorrent.repository.mirror.shelf import Shelf
from ogtorrent.swarm.forms import under_name
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.torrent import DiskTrouble, Start, Torrent
from ogtorrent.words import words

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at a download
TELL = 10.0  # seconds between lines that tell how far it is
RENEW = 5.0  # seconds between looks whether the source has another version by now
FAREWELL = 3.0  # seconds that the source's tracker gets to hear that it came
PATIENCE = 60.0  # seconds without a byte before it is given up for a while
REFUSED = 30.0  # likewise, where the tracker refuses

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Superseded(Exception):
    """The source has another version by now, or none."""


class Repository:
    """A source that runs ogtorrent. `session` makes the one session for it when it is first needed."""

    def __init__(self, server: str, session: Callable[[], Session]) -> None:
        self.name = f"http://{server}"
        self._server = server
        self._session = session

    def look(self) -> Sequence[Listed]:
        return catalogue.images(Server.parse(self._server))

    async def compare(self, offer: Listed, shelf: Shelf) -> bool:
        _, theirs = await asyncio.to_thread(self._asked, offer)
        ours = shelf.metainfo(offer.image)
        same = ours is not None and (
            (theirs.files, theirs.piece_length, theirs.hashes())
            == (ours.files, ours.piece_length, ours.hashes())
        )
        if same and ours is not None and ours.is_single is not theirs.is_single:
            published = under_name(theirs, shelf.root.mirror.name, shelf.trackers)
            await asyncio.to_thread(shelf.take_form, published)  # another version here: compared once more
        return same

    async def bring(self, offer: Listed, over: str, shelf: Shelf) -> None:
        server, wanted = await asyncio.to_thread(self._asked, offer)
        published = await asyncio.to_thread(under_name, wanted, shelf.root.mirror.name, shelf.trackers)
        shelf.check_place(self.name, wanted.image, wanted.is_directory)
        if over:
            same = await asyncio.to_thread(shelf.take_form, published)
            if same is not None:
                shelf.adopt(wanted.image, Brought(self.name, wanted.info_hash.hex(), same.info_hash.hex()))
                return
        try:
            await self._fetch(server, wanted, shelf)
            await asyncio.to_thread(make_durable, wanted, shelf.root.partial(wanted.image))
            brought = Brought(self.name, wanted.info_hash.hex(), published.info_hash.hex())
            await shelf.land(published, over, brought)
        except (DiskTrouble, NotWritable, OSError) as trouble:
            raise self._in_our_words(trouble, wanted, shelf) from trouble
        except Superseded:
            log.info("%s: %s has another version by now", wanted.image, self.name)

    def _asked(self, offer: Listed) -> tuple[Server, Metainfo]:
        server = Server.parse(self._server)
        try:
            return server, catalogue.ask(server, offer.image).metainfo
        except HostileMetainfo as error:
            why = words("its metainfo is refused, {why}", why=error.why)
            advice = words("Publish the image anew there.")
            raise MirrorFailed(str(offer.image), self.name, why, advice) from error

    async def _fetch(self, server: Server, wanted: Metainfo, shelf: Shelf) -> None:
        root, name = shelf.root, self.name
        needed = wanted.size - await asyncio.to_thread(shelves.on_disk, root, wanted)
        await asyncio.to_thread(shelf.check_room, name, wanted.image, needed)
        partial = await asyncio.to_thread(prepare, root, wanted)
        written = await asyncio.to_thread(on_disk, root, wanted)
        have = frozenset() if written else await self._share(wanted, partial, shelf)
        # The tracker by the address that answers here, whatever names it has for itself.
        trackers = [server.announce]
        session = self._session()
        torrent = session.add(wanted, partial, trackers, Start.FILL, written, have)
        try:
            async with kept_safe(root, torrent):
                await self._until_whole(torrent, shelf)
            await torrent.flushed()
            await torrent.reported(FAREWELL)
        finally:
            session.remove(torrent)  # and the source's tracker is told

    async def _share(self, wanted: Metainfo, partial: Path, shelf: Shelf) -> Collection[int]:
        """The pieces that what stands here has already."""
        image = wanted.image
        before = shelf.metainfo(image)
        told = before is not None and before.piece_length == wanted.piece_length and not wanted.is_directory
        guess = shelf.root.image(image) if before is not None and not told else None
        sharing = await asyncio.to_thread(Sharing, wanted, partial, shelf.standing(image), guess)
        running = asyncio.ensure_future(asyncio.to_thread(sharing.run))
        try:
            while not (await asyncio.wait((running,), timeout=TICK))[0]:
                shelf.coming(self.name, image, wanted.size, sharing.shared)
            return running.result()
        finally:
            sharing.stop()
            await asyncio.wait((running,))

    async def _until_whole(self, torrent: Torrent, shelf: Shelf) -> None:
        image, size = torrent.metainfo.image, torrent.metainfo.size
        checked = asyncio.ensure_future(torrent.checked())
        while not (await asyncio.wait((checked,), timeout=TICK))[0]:
            shelf.coming(self.name, image, size, torrent.follow().done)
        checked.result()
        began = told = gained = renewed = time.monotonic()
        best = had = torrent.follow().done
        while not await torrent.whole(TICK):
            progress, now = torrent.follow(), time.monotonic()
            if progress.done > best:
                best, gained = progress.done, now
            shelf.coming(self.name, image, size, progress.done)
            if now - told >= TELL:
                told = now
                log.info("%s: %d %% of it came from %s", image, 100 * progress.done // size, self.name)
            if now - renewed >= RENEW:
                await self._renew(torrent)
                renewed = time.monotonic()
            if now - gained > (REFUSED if torrent.is_refused else PATIENCE):
                raise self._nobody(torrent, now - gained)
        seconds = time.monotonic() - began
        log.info("%s: brought from %s in %.1f s, %d bytes", image, self.name, seconds, size - had)

    async def _renew(self, torrent: Torrent) -> None:
        """Raises Superseded. A source that is silent may come back: what it began is good until then."""
        try:
            listed = await asyncio.to_thread(self.look)
        except OgtorrentError:
            return
        version = torrent.metainfo.info_hash.hex()
        if not any((one.image, one.version) == (torrent.metainfo.image, version) for one in listed):
            raise Superseded

    def _nobody(self, torrent: Torrent, seconds: float) -> OgtorrentError:
        heard = torrent.tracker_trouble
        return CannotJoin(
            words("the swarm of {image!r}", image=str(torrent.metainfo.image)),
            words(
                "no byte came from {source} for {seconds:.0f} s{heard}",
                source=self.name,
                seconds=seconds,
                heard=heard and words("; the tracker said: {sentence}", sentence=heard),
            ),
            words(
                "Check that its peer port is not blocked and that it allows this server's network (--allow); "
                "what came is kept."
            ),
        )

    def _in_our_words(
        self, trouble: DiskTrouble | NotWritable | OSError, wanted: Metainfo, shelf: Shelf
    ) -> OgtorrentError:
        code = trouble.errno if isinstance(trouble, OSError) else trouble.code
        if code in _FULL:
            return shelf.no_room(self.name, wanted.image, wanted.size - shelves.on_disk(shelf.root, wanted))
        what = trouble.strerror or str(trouble) if isinstance(trouble, OSError) else str(trouble)
        return MirrorFailed(
            str(wanted.image), self.name, what.removesuffix("."), words("Check the disk; it is tried again.")
        )
