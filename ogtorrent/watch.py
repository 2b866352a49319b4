"""Notice that a tree changes: inotify where there is one, a look now and then everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from watchfiles import Change, awatch

log = logging.getLogger(__name__)

DEVICES = Path("/sys/dev/block")

# Milliseconds that changes are gathered: a writer at work causes hundreds a second.
GATHER = 200
# A network file system tells nobody of what another machine does to it.
ANYWAY = 15.0
# Seconds until a watch that failed is tried again.
AGAIN = 1.0


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
        told = ""
        while not self._stop.is_set():
            try:
                await self._watch_while_it_lasts()
            except* RuntimeError as failures:
                # A name that is not UTF-8, which watchfiles cannot tell; or no inotify watch is left.
                why = str(failures.exceptions[0])
                if why != told:
                    log.warning("cannot watch %s, looking now and then: %s", self._path, why)
                told = why
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), AGAIN)
                self._changed.set()  # read only after the new watch has begun: nothing is missed

    async def _watch_while_it_lasts(self) -> None:
        async for _ in awatch(
            self._path,
            watch_filter=self._matters,
            debounce=GATHER,
            step=GATHER // 4,
            stop_event=self._stop,
            recursive=True,
            ignore_permission_denied=True,  # one folder that we may not read is no reason to stop
        ):
            self._changed.set()


@dataclass(frozen=True)
class Standing:
    """A directory, and the disk that it was on."""

    path: Path
    device: int
    inode: int
    on_a_disk: bool  # rather than on what the kernel makes up

    @classmethod
    def of(cls, path: Path) -> Standing:
        """Raises OSError."""
        status = path.stat()
        return cls(path, status.st_dev, status.st_ino, _entry(status.st_dev).exists())

    def holds(self) -> bool:
        """Whether it is still the same directory, and its disk has not been pulled out."""
        with contextlib.suppress(OSError):
            status = self.path.stat()
            same = (status.st_dev, status.st_ino) == (self.device, self.inode)
            return same and (not self.on_a_disk or _entry(self.device).exists())
        return False


def _entry(device: int) -> Path:
    return DEVICES / f"{os.major(device)}:{os.minor(device)}"
