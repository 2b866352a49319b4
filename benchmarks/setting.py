"""The work that every contender is given."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

_MEMORY = Path("/dev/shm")
# Bytes for the programs' own memory and their logs, beside the images.
_ELBOW_ROOM = 512 << 20


@dataclass(frozen=True)
class Setting:
    """A room and an image. Rates in Mbit/s, None for unshaped; size in bytes."""

    clients: int
    rate: float | None
    repository_rate: float | None
    size: int

    @property
    def slowest(self) -> float | None:
        return min((rate for rate in (self.rate, self.repository_rate) if rate is not None), default=None)

    @property
    def limit(self) -> float | None:
        """Seconds in which the image passes the slowest port: nobody can have it sooner."""
        return None if self.slowest is None else self.size * 8 / (self.slowest * 1e6)


def memory_for(size: int) -> Path:
    """Where `size` bytes of images go: memory keeps the disk out of the figures, if there is enough of it."""
    need = size + _ELBOW_ROOM
    if _MEMORY.is_dir() and min(shutil.disk_usage(_MEMORY).free, _available_memory()) > need:
        return _MEMORY
    return Path(tempfile.gettempdir())


def _available_memory() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    (kib,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return kib * 1024
