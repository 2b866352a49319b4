"""The mirror at work: each source is followed by a task of its own, which nothing ends but cancellation."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from ogtorrent.errors import NotARepository, OgtorrentError, RepositoryUnreachable, UnknownRoot
from ogtorrent.fetch.catalogue import Listed
from ogtorrent.layout import ImagePath
from ogtorrent.repository.mirror.folder import Folder
from ogtorrent.repository.mirror.notes import Note, State
from ogtorrent.repository.mirror.plan import (
    Bring,
    Brought,
    Busy,
    Compare,
    Elsewhere,
    InStep,
    Keep,
    Step,
    Wait,
    chosen,
    pause,
    plan,
)
from ogtorrent.repository.mirror.shelf import Shelf
from ogtorrent.repository.mirror.source import Source
from ogtorrent.repository.mirror.swarm import Repository
from ogtorrent.swarm.session import Session
from ogtorrent.words import words

log = logging.getLogger(__name__)

POLL = 5.0  # seconds between looks at a source

_AWAY = (RepositoryUnreachable, NotARepository, UnknownRoot)


class Mirroring:
    """`run` ends only by cancellation: a source that fails, whatever it does, is tried again later."""

    def __init__(
        self,
        sources: Sequence[str | Path],
        globs: Sequence[str],
        shelf: Shelf,
        session: Callable[[], Session],
    ) -> None:
        self._shelf = shelf
        self._globs = globs
        self._make_session = session
        self._session: Session | None = None
        self._sources: list[Source] = [
            Folder(source) if isinstance(source, Path) else Repository(source, self._one_session)
            for source in sources
        ]
        self._offers: dict[str, Sequence[Listed]] = {}  # of each source, when it last answered
        self._bringing: dict[ImagePath, str] = {}
        self._failures: dict[ImagePath, tuple[str, int, float]] = {}  # version, how often, not before
        self._told: dict[object, str] = {}

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(self._follow(source))
        finally:
            if self._session is not None:
                await self._session.close()

    def _one_session(self) -> Session:
        if self._session is None:
            self._session = self._make_session()
        return self._session

    async def _follow(self, source: Source) -> None:
        failures = 0
        while True:
            try:
                rest = await self._once(source)
                if failures:
                    log.info("%s answers again", source.name)
                failures = 0
            except OgtorrentError as error:
                failures += 1
                self._tell(source.name, str(error))
                rest = pause(failures)
            except Exception as error:  # the server has more to do than to mirror
                failures += 1
                log.error("mirror of %s: unforeseen: %r", source.name, error)
                rest = pause(failures)
            await asyncio.sleep(rest)

    async def _once(self, source: Source) -> float:
        """Look at a source and bring one image; how long to rest then. Raises OgtorrentError."""
        listed = await asyncio.to_thread(source.look)
        self._tell(source.name, "")
        offers = [one for one in listed if chosen(one.image, self._globs)]
        if listed and not offers:
            self._tell((source.name, "chosen"), words("no image of {source} is chosen", source=source.name))
        self._offers[source.name] = offers
        steps = list(
            plan(
                source.name,
                offers,
                self._shelf.held(),
                self._claimed(source),
                [one.name for one in self._sources],
            )
        )
        self._forget(source, {offer.image for offer in offers})
        for step in steps:
            self._note(source, step, {offer.image: offer for offer in offers})
        for step in steps:
            if isinstance(step, Bring | Compare) and self._is_due(step.offer):
                await self._act(source, step)
                return 0.0  # what is offered may have changed meanwhile
        return POLL

    def _claimed(self, source: Source) -> set[ImagePath]:
        claimed = {image for image, name in self._bringing.items() if name != source.name}
        for before in self._sources:
            if before is source:
                break
            claimed |= {offer.image for offer in self._offers.get(before.name, ())}
        return claimed

    def _is_due(self, offer: Listed) -> bool:
        version, _, not_before = self._failures.get(offer.image, ("", 0, 0.0))
        return version != offer.version or time.monotonic() >= not_before

    async def _act(self, source: Source, step: Bring | Compare) -> None:
        image = step.image
        self._bringing[image] = source.name
        try:
            if isinstance(step, Bring):
                if image not in self._failures:
                    log.info("%s: %s has it, %d bytes", image, source.name, step.offer.size)
                await source.bring(step.offer, step.over, self._shelf)
            elif await source.compare(step.offer, self._shelf):
                brought = Brought(source.name, step.offer.version, step.held.version)
                await asyncio.to_thread(self._shelf.adopt, image, brought)
                log.info("%s: the same here as at %s", image, source.name)
            else:
                self._conflict(source, step)
                return
            self._failures.pop(image, None)
        except _AWAY:
            raise
        except OgtorrentError as error:
            self._fail(source, step.offer, str(error))
        finally:
            del self._bringing[image]

    def _conflict(self, source: Source, step: Compare) -> None:
        why = words(
            "The image {image!r} is another one here than at {source}, and stays. Rename or remove it here "
            "to have the source's.",
            image=str(step.image),
            source=source.name,
        )
        self._shelf.notes[step.image] = Note(source.name, State.CONFLICT, why=why)
        self._tell(step.image, why)
        self._failures[step.image] = step.offer.version, 1, time.monotonic() + pause(4)

    def _fail(self, source: Source, offer: Listed, why: str) -> None:
        version, failures, _ = self._failures.get(offer.image, ("", 0, 0.0))
        failures = failures + 1 if version == offer.version else 1
        self._failures[offer.image] = offer.version, failures, time.monotonic() + pause(failures)
        self._shelf.notes[offer.image] = Note(source.name, State.FAILED, offer.size, why=why)
        self._tell(offer.image, why)

    def _note(self, source: Source, step: Step, offers: Mapping[ImagePath, Listed]) -> None:
        notes, image = self._shelf.notes, step.image
        match step:
            case InStep():
                notes[image] = Note(source.name, State.IN_STEP)
                self._told.pop(image, None)
            case Bring(offer) if self._is_due(offer):
                before = notes.get(image)
                done = before.done if before is not None and before.state is State.COMING else 0
                self._shelf.coming(source.name, image, offer.size, done)
            case Wait(state=state, stands=False) if state != "refused":
                self._shelf.coming(source.name, image, offers[image].size, 0)
            case Keep():
                why = words(
                    "{source} has the image {image!r} no more; it is kept here",
                    source=source.name,
                    image=str(image),
                )
                notes[image] = Note(source.name, State.KEPT, why=why)
                self._tell(image, why)
            case Bring() | Compare() | Wait() | Busy() | Elsewhere():
                pass

    def _forget(self, source: Source, offered: Collection[ImagePath]) -> None:
        """What never came and is offered no more is not on its way."""
        for image, note in list(self._shelf.notes.items()):
            away = note.source == source.name and image not in offered
            if away and note.state in (State.COMING, State.FAILED):
                del self._shelf.notes[image]

    def _tell(self, about: object, sentence: str) -> None:
        """Log what is new: a source that is down for a night is told of once."""
        if self._told.get(about, "") != sentence:
            self._told[about] = sentence
            if sentence:
                log.warning("%s", sentence)
