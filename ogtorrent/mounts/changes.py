"""When disks are mounted and unmounted."""

from __future__ import annotations

import asyncio
import select
from types import TracebackType

from ogtorrent.mounts.table import TABLE


class Mounts:
    """A context: tells when anything was mounted or unmounted."""

    def __enter__(self) -> Mounts:
        self._changed = asyncio.Event()
        # The file is always readable; what changes is told as an exception, which asyncio does not ask for.
        self._table = TABLE.open("rb")
        self._poll = select.epoll()
        self._poll.register(self._table, select.EPOLLPRI)
        asyncio.get_running_loop().add_reader(self._poll, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._poll)
        self._poll.close()
        self._table.close()

    def _hear(self) -> None:
        self._poll.poll(0)
        self._changed.set()

    async def wait(self, stop: asyncio.Event, timeout: float | None) -> None:
        """Until something has changed since the last call, or `stop`, or `timeout` seconds."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._changed, stop)]
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for waiting in waits:
            waiting.cancel()
        self._changed.clear()
