"""Live events: who watches a page is told what changes on it, once a second at most.

Of each picture that is taken, one view is made for each page and language that is watched, however many
watch; none where nobody does. A viewer keeps the view that it was last told of, and is told what has
changed since: who takes long misses the moments between, and nothing waits in a queue for it.
"""

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from tracker.classroom.snapshot import Snapshot
from tracker.http.connections import WITHIN
from tracker.look.view import Cell, View
from tracker.swarm.store import StoreDownError

log = logging.getLogger(__name__)

MOST_VIEWERS = 200
# Seconds. Proxies close what is silent for a minute.
_KEEP_ALIVE = 15.0
# Milliseconds after which a browser comes back when the connection broke.
_COME_BACK = 1000
# Bytes for one viewer in the kernel: what lies there is of a moment that may be long over.
_ON_THE_WAY = 64 * 1024

MakeView = Callable[[Snapshot], View | None]


class CrowdedError(Exception):
    """More viewers than are served."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} pages are watched live already; this one can be reloaded by hand")


@dataclass(frozen=True)
class _Message:
    event: str
    data: str


@dataclass(eq=False)
class _Channel:
    """One page in one language, as all its viewers see it; `view` is None when there is nothing to see."""

    make: MakeView
    view: View | None
    before: View | None = None
    step: _Message | None = None  # from `before` to `view`
    viewers: int = 0
    ended: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self, snapshot: Snapshot) -> None:
        """To the next moment."""
        self.before, self.view = self.view, self.make(snapshot)
        self.step = change(self.before, self.view)
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def message(self, known: View | None) -> _Message | None:
        """What to tell who knows that view."""
        return self.step if known is self.before and known is not None else change(known, self.view)

    def _wake(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()


class Live:
    """All viewers. `picture` is of this moment; `next_picture` comes when it is time to tell of another."""

    def __init__(
        self,
        picture: Callable[[], Awaitable[Snapshot]],
        next_picture: Callable[[], Awaitable[Snapshot]],
        *,
        most: int = MOST_VIEWERS,
    ) -> None:
        self._picture, self._next_picture = picture, next_picture
        self._most = most
        self._channels: dict[object, _Channel] = {}
        self._latest: Snapshot | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def viewers(self) -> int:
        return sum(channel.viewers for channel in self._channels.values())

    async def view(self, key: object, make: MakeView) -> View | None:
        """A page as it is now; where it is watched, as its viewers see it. None if there is no such page."""
        channel = self._channels.get(key)
        return channel.view if channel is not None else make(await self._snapshot())

    async def stream(
        self, request: web.Request, key: object, make: MakeView, headers: Mapping[str, str]
    ) -> web.StreamResponse | None:
        """Tell of a page until its viewer goes; None if there is no such page. Raises CrowdedError.

        `key` names page and language: who gives the same one is shown the same views.
        """
        snapshot = await self._snapshot()
        if self.viewers >= self._most or self._ended:
            raise CrowdedError(self._most)
        with self._watched(key, make, snapshot) as channel:
            if channel.view is None:
                return None
            _hold_little(request)
            async with sse_response(
                request, headers=headers, ping_interval=_KEEP_ALIVE, send_timeout=WITHIN
            ) as response:
                with suppress(ConnectionError, TimeoutError):
                    await _tell(request, response, channel)
            return response

    async def close(self, app: web.Application) -> None:
        """End all streams; the clients will come back."""
        self._ended = True
        self._end_all()

    async def _snapshot(self) -> Snapshot:
        return await self._picture() if self._latest is None else self._latest

    @contextmanager
    def _watched(self, key: object, make: MakeView, snapshot: Snapshot) -> Iterator[_Channel]:
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = _Channel(make, make(snapshot))
        channel.viewers += 1
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        try:
            yield channel
        finally:
            channel.viewers -= 1
            if not channel.viewers and self._channels.get(key) is channel:
                del self._channels[key]
            if not self._channels:
                self._rest()

    async def _tick(self) -> None:
        try:
            while True:
                self._latest = await self._next_picture()
                for channel in self._channels.values():
                    channel.move(self._latest)
        except StoreDownError:
            self._end_all()  # who comes back is told why
        except Exception:
            log.exception("internal error while pages are watched")
            self._end_all()

    def _end_all(self) -> None:
        for channel in self._channels.values():
            channel.end()
        self._channels.clear()
        self._rest()

    def _rest(self) -> None:
        ticking, self._ticking, self._latest = self._ticking, None, None
        if ticking is not None and ticking is not asyncio.current_task():
            ticking.cancel()


def change(known: View | None, view: View | None) -> _Message | None:
    """The event for a viewer that knows one view and is to know another; None if they look the same."""
    if view is None:
        return _message("reshape", shape="")
    if known is None:
        return _message("whole", shape=view.stamp, cells=view.cells)
    if known.stamp != view.stamp:
        return _message("reshape", shape=view.stamp)
    cells = {}
    for name, cell in view.cells.items():
        changed = _changed(known.cells.get(name, {}), cell)
        if changed:
            cells[name] = changed
    return _message("change", cells=cells) if cells else None


def _changed(known: Cell, cell: Cell) -> Cell:
    return {} if known == cell else {name: text for name, text in cell.items() if known.get(name) != text}


def _message(event: str, **facts: object) -> _Message:
    return _Message(event, json.dumps(facts, ensure_ascii=False, separators=(",", ":"), default=dict))


async def _tell(request: web.Request, response: EventSourceResponse, channel: _Channel) -> None:
    known: View | None = None
    retry: int | None = _COME_BACK
    while not channel.ended and request.transport is not None:
        moved, view = channel.moved, channel.view
        message = channel.message(known)
        if message is not None:
            await response.send(message.data, event=message.event, retry=retry)
            retry = None
        if view is None:
            return
        known = view
        await moved.wait()


def _hold_little(request: web.Request) -> None:
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ON_THE_WAY)
