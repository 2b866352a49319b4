"""The work that every contender is given."""

from __future__ import annotations

import mmap
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scenario import SCENARIOS, Role, Scenario

_MEMORY = Path("/dev/shm")
_PAGE = mmap.PAGESIZE
# Bytes for the programs' own memory and their logs, beside the images.
_ELBOW_ROOM = 512 << 20


@dataclass(frozen=True)
class Setting:
    """A room, what happens in it, and an image. Rates in Mbit/s, None for unshaped; size in bytes.

    `clients` are the seats of each room, and `size` is that of each image, where there are several.
    """

    clients: int
    rate: float | None
    repository_rate: float | None
    size: int
    scenario: Scenario = SCENARIOS["plain"]

    def why_not(self) -> str | None:
        """Why there is no such lesson, or None if there is."""
        if self.rate is None and self.scenario != SCENARIOS["plain"]:
            return "only the plain scenario goes unshaped: the others need a limit, or a port that holds up"
        if Role.ORDINARY not in self.roles:
            return f"this scenario needs more than {len(self.scenario.apart)} clients"
        return None

    @property
    def roles(self) -> list[Role]:
        return self.scenario.roles(self.clients)

    @property
    def work(self) -> int:
        """Bytes that every seat fetches while the clock runs."""
        return self.size * self.scenario.images

    @property
    def images(self) -> list[str]:
        """The names of all that the repository serves; the first is what warm seats have already."""
        return [f"image{number + 1}.img" for number in range(self.scenario.images + self.scenario.warm)]

    @property
    def space(self) -> int:
        """Bytes that all images take, the repository's and everybody's."""
        return self.size * len(self.images) * (len(self.roles) + 1)

    @property
    def slowest(self) -> float | None:
        """The slowest port's rate; that of a seat for which nobody waits is none."""
        return min((rate for rate in (self.rate, self.repository_rate) if rate is not None), default=None)

    @property
    def limit(self) -> float | None:
        """Seconds in which the work passes the slowest port: nobody can have it sooner."""
        return None if self.slowest is None else self.work * 8 / (self.slowest * 1e6)

    @property
    def patience(self) -> float:
        """Seconds until a contender is given up: thrice what the server alone needs for seat after seat."""
        return 120 + 3 * len(self.roles) * self.work * 8 / ((self.slowest or 100) * 1e6)


def memory_for(size: int) -> Path:
    """Where `size` bytes of images go: memory keeps the disk out of the figures, if there is enough of it."""
    need = size + _ELBOW_ROOM
    if _MEMORY.is_dir() and min(shutil.disk_usage(_MEMORY).free, _available_memory()) > need:
        return _MEMORY
    return Path(tempfile.gettempdir())


def touch_memory(size: int) -> None:
    """Use so many bytes of memory once, and give them back.

    A virtual machine gets its memory from its host when it is first used, at the pace of a slow disk; who
    comes next finds it there. So it is used before everybody's turn.
    """
    with mmap.mmap(-1, size) as memory:
        for start in range(0, size, _PAGE):
            memory[start] = 1


def _available_memory() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    (kib,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return kib * 1024
