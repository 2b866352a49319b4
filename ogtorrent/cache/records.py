"""What a cache remembers of its images that no file tells: pins, and when each was used last.

An image is used when `update-cache` or `cache verify` finds or makes it whole, and by a rollback. Who
restores from the cache reads a file, of which nobody is told: times of access are seldom kept, and every
check reads too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ogtorrent.errors import NotWritable
from ogtorrent.files import locked, remove_cut, write_whole
from ogtorrent.layout import records_file
from ogtorrent.words import words


@dataclass(frozen=True)
class Record:
    pinned: bool = False
    used: float | None = None  # Unix seconds, by this PC's clock
    turn: int = 0  # counts uses: their order, also where the clock was wrong


@dataclass(frozen=True)
class Records:
    """By place relative to the cache. Of records that cannot be read every image counts as pinned."""

    of: Mapping[str, Record] = field(default_factory=dict)
    readable: bool = True

    def __getitem__(self, name: str) -> Record:
        return self.of.get(name, Record(pinned=not self.readable))


def read(cache: Path) -> Records:
    try:
        content = records_file(cache).read_bytes()
    except FileNotFoundError:
        return Records()
    except OSError:
        return Records(readable=False)
    try:
        return Records({name: _record(fields) for name, fields in json.loads(content).items()})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Records(readable=False)


def use(cache: Path, name: str, now: float) -> None:
    """Raises NotWritable."""

    def used(records: dict[str, Record]) -> None:
        turn = 1 + max((record.turn for record in records.values()), default=0)
        records[name] = replace(records.get(name, Record()), used=now, turn=turn)

    _change(cache, used)


def pin(cache: Path, name: str, pinned: bool) -> None:
    """Raises NotWritable."""

    def changed(records: dict[str, Record]) -> None:
        records[name] = replace(records.get(name, Record()), pinned=pinned)

    _change(cache, changed)


def move(cache: Path, name: str, to: str) -> None:
    """Raises NotWritable."""

    def moved(records: dict[str, Record]) -> None:
        if name in records:
            records[to] = records.pop(name)

    _change(cache, moved)


def forget(cache: Path, name: str) -> None:
    """Raises NotWritable."""
    _change(cache, lambda records: records.pop(name, None))


def _change(cache: Path, how: Callable[[dict[str, Record]], object]) -> None:
    path = records_file(cache)
    try:
        with locked(path.parent):  # commands and the seeder write them
            records = read(cache)
            if not records.readable:
                raise NotWritable(path, words("it is damaged, and every image counts as pinned; delete it"))
            remove_cut(path)
            changed = dict(records.of)
            how(changed)
            if changed != records.of:
                told = {name: asdict(record) for name, record in sorted(changed.items())}
                write_whole(path, json.dumps(told, indent=1).encode())
    except OSError as error:
        raise NotWritable.of(path, error) from error


def _record(fields: dict[str, Any]) -> Record:
    record = Record(**fields)
    timed = record.used is None or (isinstance(record.used, int | float) and abs(record.used) < 1e11)
    if not isinstance(record.pinned, bool) or not isinstance(record.turn, int) or not timed:
        raise ValueError(f"no record: {fields!r}")
    return record
