"""Directories that come and go with the disks that are mounted on them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ogtorrent.mounts.table import TABLE

DEVICES = Path("/sys/dev/block")


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
