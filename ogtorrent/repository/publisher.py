"""The publisher: watches a tree and keeps the sidecars of every image in step with it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ogtorrent.errors import ImageLocked, NotWritable, OgtorrentError, UnfitImage
from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.repository import sessions, settling
from ogtorrent.repository.publish import Contents, publish, standing, stands, withdraw
from ogtorrent.swarm.forms import in_form, with_trackers
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.sidecars import write_sidecars
from ogtorrent.watch import Changes

log = logging.getLogger(__name__)

LOOK = 0.25  # seconds between looks at images that have not settled
PROGRESS = 2.0  # seconds between lines that tell how far a read is


class State(StrEnum):
    READY = "ready"
    WAITING = "waiting"  # somebody writes, or wrote a moment ago
    LOCKED = "locked"
    HASHING = "hashing"
    MIRRORING = "mirroring"  # on its way from another repository; nothing stands here yet
    REFUSED = "refused"


@dataclass(frozen=True)
class Entry:
    """An image of the catalogue."""

    image: ImagePath
    state: State
    size: int = 0
    hashed: int = 0  # bytes, while HASHING; that came, while MIRRORING
    why: str = ""  # where REFUSED
    metainfo: Metainfo | None = None


class _Abandoned(Exception):
    """The server ends; a read is not worth finishing."""


class Publisher:
    """Keeps `catalogue` true. `run` ends only by cancellation."""

    def __init__(self, root: Root, trackers: Sequence[str], single: bool | None = False) -> None:
        """`single`: what is one file in the form that OpenGnsys's seats can save; None leaves what is
        published in the form that it has."""
        self.root = root
        self._trackers = tuple(trackers)
        self._single = single
        self.catalogue: dict[ImagePath, Entry] = {}
        self.still = threading.Lock()  # whoever holds it puts an image and its sidecars in place unseen
        self._ending = False
        self._waiting: dict[ImagePath, settling.Waiting] = {}
        self._unnameable: set[Path] = set()  # that were told of
        self._failed: dict[ImagePath, Contents] = {}  # what could not be read, as it was then
        self._hashing: asyncio.Task[None] | None = None

    async def run(self, started: Callable[[], None]) -> None:
        """Publish for ever; `started` is called when the images that stand have been looked at."""
        async with Changes(self.root.path, self._matters) as changes:
            await asyncio.to_thread(self._survey)
            started()
            try:
                while True:
                    await changes.wait(LOOK if self._waiting else None)
                    if changes.seen():
                        await asyncio.to_thread(self._survey)
                    await asyncio.to_thread(self._look)
                    self._hash_next()
            finally:
                self._ending = True  # a thread cannot be cancelled; the next chunk of its read sees this

    def _matters(self, _: object, path: str) -> bool:
        """What is hidden is no image: somebody fetches one, for hours perhaps."""
        return "/." not in path[len(str(self.root.path)) :]

    def enter(self, published: Metainfo) -> None:
        """Enter an image that somebody has put in place while he held `still`."""
        self._keep_sessions([published.image])
        self._stand(published)

    def again(self, image: ImagePath) -> None:
        """Have an image hashed and published once more, though it looks the same. Raises NotWritable."""
        entry = self.catalogue.get(image)
        if entry is None or entry.state in (State.WAITING, State.HASHING):
            return
        self._failed.pop(image, None)
        withdraw(self.root, image)
        self._look_at(image, time.monotonic())

    def _survey(self) -> None:
        """Compare the whole tree with the catalogue: one stat a file, no image is read."""
        with self.still:
            self._survey_tree()

    def _survey_tree(self) -> None:
        found = set(self.root.images())
        unnameable = set(self.root.unnameable())
        for path in sorted(unnameable - self._unnameable):
            log.warning("%r is passed over: its name is not UTF-8; rename it", os.fsencode(path))
        self._unnameable = unnameable
        for image in sorted(self.catalogue.keys() - found):
            log.info("%s was removed", self.root.called(image))
            self.forget(image)
        # Sidecars of images that vanished, also while no server ran.
        for torrent in list(self.root.torrents()):
            image = self.root.image_of_torrent(torrent)
            if image not in found:
                self._withdraw(image)
        before = self._published()
        for image in sorted(found):
            self._survey_image(image)
        self._keep_sessions(self._published() - before)

    def _published(self) -> set[ImagePath]:
        return {image for image, entry in self.catalogue.copy().items() if entry.metainfo is not None}

    def _survey_image(self, image: ImagePath) -> None:
        entry = self.catalogue.get(image)
        if image in self._waiting or (entry is not None and entry.state is State.HASHING):
            return  # those are looked at anyway
        published = self._standing(image, entry)
        if published is not None:
            self._stand(published)
            return
        if entry is not None and entry.metainfo is not None:
            log.info("%s has changed", self.root.called(image))
        # Nobody may take an image by metainfo that does not describe it any more.
        self._withdraw(image)
        self._look_at(image, time.monotonic())

    def _standing(self, image: ImagePath, entry: Entry | None) -> Metainfo | None:
        if entry is not None and entry.metainfo is not None:
            # Known: a look at its files will do, unless somebody took its `.torrent` away, or published
            # another version.
            torrent = self.root.sidecar(image, Sidecar.TORRENT)
            if torrent.exists() and stands(self.root, entry.metainfo):
                return entry.metainfo
        published = standing(self.root, image)
        if published is None:
            return None
        moved = published if self._single is None else in_form(published, self._single)
        if moved.trackers == self._trackers and moved is published:
            return published
        moved = with_trackers(moved, self._trackers)
        write_sidecars(self.root, moved)
        return moved

    def _keep_sessions(self, images: Collection[ImagePath]) -> None:
        try:
            if images:
                sessions.keep(self.root, images)
        except NotWritable as error:  # a disk that can only be read seeds as it is
            log.warning("%s", error)

    def _stand(self, published: Metainfo) -> None:
        """Enter an image that is published; a lock says that somebody is about to change it."""
        locked = self.root.sidecar(published.image, Sidecar.LOCK).exists()
        self.catalogue[published.image] = Entry(
            published.image, State.LOCKED if locked else State.READY, published.size, metainfo=published
        )

    def forget(self, image: ImagePath) -> None:
        """It stands no more; the next survey would say the same."""
        self._waiting.pop(image, None)
        self._failed.pop(image, None)
        self.catalogue.pop(image, None)

    def _look(self) -> None:
        now = time.monotonic()
        for image in sorted(self._waiting):
            self._look_at(image, now)

    def _look_at(self, image: ImagePath, now: float) -> None:
        try:
            sight = settling.look(self.root, image)
        except OSError:  # gone since; the next survey says so
            self.forget(image)
            return
        except UnfitImage as error:
            self._refuse(image, error)
            return
        if self._failed.get(image) == sight.contents:
            return  # it could not be read, and is still the same
        self._waiting[image] = settling.wait(self._waiting.get(image), sight, now)
        state = State.LOCKED if sight.busy is settling.Busy.LOCKED else State.WAITING
        self.catalogue[image] = Entry(image, state, sight.contents.size)

    def _hash_next(self) -> None:
        """One image at a time: two reads at once would only make a disk seek."""
        if self._hashing is not None and not self._hashing.done():
            return
        now = time.monotonic()
        for image in sorted(self._waiting):
            if settling.has_settled(self._waiting[image], now):
                sight = self._waiting.pop(image).sight
                self._hashing = asyncio.create_task(self._hash(image, sight.contents))
                return

    async def _hash(self, image: ImagePath, seen: Contents) -> None:
        size = seen.size
        self.catalogue[image] = Entry(image, State.HASHING, size)
        log.info("%s: hashing %d bytes", self.root.called(image), size)
        started = told = time.monotonic()

        def progress(done: int) -> None:
            nonlocal told
            if self._ending:
                raise _Abandoned
            self.catalogue[image] = Entry(image, State.HASHING, size, done)
            if time.monotonic() - told >= PROGRESS:
                told = time.monotonic()
                log.info(
                    "%s: hashed %d of %d bytes (%d %%)",
                    self.root.called(image),
                    done,
                    size,
                    100 * done // size,
                )

        try:
            published = await asyncio.to_thread(
                publish, self.root, image, self._trackers, progress, bool(self._single)
            )
        except _Abandoned:
            log.info("%s: hashing abandoned", self.root.called(image))
        except ImageLocked as error:
            log.info("%s", error)
            self._look_at(image, time.monotonic())
        except OgtorrentError as error:
            self._failed[image] = seen
            self._refuse(image, error)
        else:
            log.info("%s: published in %.1f s", self.root.called(image), time.monotonic() - started)
            self._failed.pop(image, None)
            self._stand(published)

    def _refuse(self, image: ImagePath, error: OgtorrentError) -> None:
        self._waiting.pop(image, None)
        entry = Entry(image, State.REFUSED, why=str(error))
        if self.catalogue.get(image) != entry:
            log.error("%s", error)
        self.catalogue[image] = entry

    def _withdraw(self, image: ImagePath) -> None:
        try:
            withdraw(self.root, image)
        except NotWritable as error:
            log.error("%s", error)
