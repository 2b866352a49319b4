"""What is mounted, as the kernel tells it: the only reader of its table."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mounted:
    """A line of the table. `device` is the `st_dev` of what stands there, `root` what is seen of it."""

    at: Path
    source: str
    kind: str
    device: int
    root: str
    read_only: bool

    @property
    def whole(self) -> bool:
        """Whether all of it is seen, rather than a folder that was bound."""
        return self.root == "/"


def parse(table: str) -> tuple[Mounted, ...]:
    """proc_pid_mountinfo(5): in the order in which they were mounted."""
    found = []
    for line in table.removesuffix("\n").split("\n"):  # a name may hold what else ends lines
        place, _, what = line.partition(" - ")
        _, _, number, root, at, options, *_ = place.split(" ")
        kind, source, of_all, *_ = (*what.split(" "), "", "")
        major, _, minor = number.partition(":")
        read_only = "ro" in options.split(",") or "ro" in of_all.split(",")
        device = os.makedev(int(major), int(minor))
        found.append(Mounted(Path(_plain(at)), _plain(source), kind, device, _plain(root), read_only))
    return tuple(found)


def read() -> tuple[Mounted, ...]:
    return parse(os.fsdecode(TABLE.read_bytes()))


def seen_at(point: Path, table: Sequence[Mounted]) -> Mounted | None:
    """What is mounted on a point; of several the last, which hides the others."""
    return next((one for one in reversed(table) if one.at == point), None)


def _plain(field: str) -> str:
    """Blanks, tabs, line feeds, backslashes and `#` are written in octal."""
    return _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), field)
