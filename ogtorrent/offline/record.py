"""What was asked for, so that the next run and the seeder do the same without being told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ogtorrent.files import write_whole
from ogtorrent.offline.live import RUNNING
from ogtorrent.offline.plan import Choice

_NAME = "asked.json"


@dataclass(frozen=True)
class Asked:
    """`live`: the folder of the live system.

    `digest` and `core`: what `mbr.digest` said of our boot loader, and the bytes that it was asked for.
    `begun`: the boot record may be ours, and be cut.
    """

    where: str = RUNNING
    live: str = ""
    append: str = ""
    choice: Choice = Choice.AUTO
    digest: str = ""
    core: int = 0
    begun: bool = False


def read(home: Path) -> Asked:
    try:
        told = json.loads((home / _NAME).read_bytes())
        return Asked(**told | {"choice": Choice(told["choice"])})
    except (OSError, ValueError, TypeError, KeyError):
        return Asked()


def write(home: Path, asked: Asked) -> None:
    """Raises NotWritable."""
    write_whole(home / _NAME, json.dumps(asdict(asked)).encode())
