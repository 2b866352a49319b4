"""What was asked for, so that the next run and the seeder do the same without being told."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from ogtorrent.files import write_whole
from ogtorrent.offline.live import RUNNING
from ogtorrent.offline.plan import Choice
from ogtorrent.words import CATALOGUES

_NAME = "asked.json"
_LANGUAGES = {"en", *(path.stem for path in CATALOGUES.glob("*.po"))}


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
    language: str = "en"  # of the menu, whoever writes it again


def read(home: Path) -> Asked:
    try:
        told = json.loads((home / _NAME).read_bytes())
        asked = Asked(**told | {"choice": Choice(told["choice"])})
        shlex.split(asked.append)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Asked()
    kinds = [type(value) for value in vars(Asked()).values()]
    sound = [type(value) for value in vars(asked).values()] == kinds and asked.language in _LANGUAGES
    return asked if sound else Asked()


def write(home: Path, asked: Asked) -> None:
    """Raises NotWritable."""
    write_whole(home / _NAME, json.dumps(asdict(asked)).encode())
