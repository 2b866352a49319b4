"""What a run costs the machine: CPU time of all that is started, and the share of time the cores idled."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 5.0


@dataclass(frozen=True)
class Ticks:
    """The machine's clock ticks since it started, all cores together."""

    total: int
    idle: int

    @classmethod
    def now(cls) -> Ticks:
        # user nice system idle iowait irq softirq steal; the guests' that follow are counted in user already
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return cls(sum(fields), fields[3] + fields[4])

    def idle_since(self, before: Ticks) -> float:
        """The share of the time since `before` in which the cores had nothing to do."""
        return (self.idle - before.idle) / max(1, self.total - before.total)


class CpuMeter:
    """Counts user and system time of whatever this process starts meanwhile, by a cgroup2 of its own.

    This process moves into the cgroup, so its children are born there: a daemon that leaves its parent, a
    thread and a process that has ended are all counted, and starting a program costs nothing extra. What this
    process itself uses is taken off. `cpu.stat` needs no controller, so any mounted cgroup2 hierarchy does.
    """

    def __init__(self) -> None:
        self._home = _own_cgroup()
        self._cgroup: Path | None = None

    def __enter__(self) -> CpuMeter:
        if self._home is not None:
            cgroup = self._home / f"ogroom-{os.getpid()}"
            cgroup.mkdir()
            self._cgroup = cgroup
            _move_to(cgroup)
        return self

    def __exit__(self, *_: object) -> None:
        if self._home is None or self._cgroup is None:
            return
        _move_to(self._home)
        # Processes that were just killed may take a moment to leave.
        deadline = time.monotonic() + _PATIENCE
        while (self._cgroup / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._cgroup.rmdir()

    def seconds(self) -> float | None:
        """CPU seconds used so far; None where no cgroup can be had. Only differences mean anything."""
        if self._cgroup is None:
            return None
        stat = dict(line.split() for line in (self._cgroup / "cpu.stat").read_text().splitlines())
        own = resource.getrusage(resource.RUSAGE_SELF)
        return int(stat["usage_usec"]) / 1e6 - own.ru_utime - own.ru_stime


def _own_cgroup() -> Path | None:
    """Where this process stands in the cgroup2 hierarchy, if one is mounted and may be written to."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    mount = next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    path = next((path for number, _, path in groups if number == "0"), None)
    if mount is None or path is None:
        return None
    home = mount / path.lstrip("/")
    return home if os.access(home / "cgroup.procs", os.W_OK) else None


def _move_to(cgroup: Path) -> None:
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
