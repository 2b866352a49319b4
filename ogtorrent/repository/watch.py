"""Notice that a tree changes: inotify where there is one, a look now and then everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from watchfiles import Change, awatch

# Milliseconds that changes are gathered: a writer at work causes hundreds a second.
GATHER = 200
# A network file system tells nobody of what another machine does to it.
ANYWAY = 15.0


class Changes:
    """An async context: wakes its owner when something below a directory changes."""

    def __init__(self, path: Path, matters: Callable[[Change, str], bool] | None = None) -> None:
        self._path = path
        self._matters = matters
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Changes:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        await self._task

    async def wait(self, timeout: float | None) -> None:
        """Until something changes, or `timeout` seconds, or long enough to look anyway.

        Raises what ended the watch, for example FileNotFoundError.
        """
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            done, _ = await asyncio.wait(
                (changed, self._task),
                timeout=min(timeout or ANYWAY, ANYWAY),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            changed.cancel()
        if self._task.done():
            self._task.result()
        if not done and timeout is None:
            self._changed.set()

    def seen(self) -> bool:
        """Whether something changed since the last call."""
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    async def _watch(self) -> None:
        async for _ in awatch(
            self._path,
            watch_filter=self._matters,
            debounce=GATHER,
            step=GATHER // 4,
            stop_event=self._stop,
            recursive=True,
        ):
            self._changed.set()
