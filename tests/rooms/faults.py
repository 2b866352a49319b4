"""The table of docs/faults.md: what a staged fault did, told by the test that staged it.

A test fails where its row is not what the table says. `make faults` writes the table instead; only that
writes the last column, which no test compares: figures vary, facts do not.
"""

from __future__ import annotations

import fcntl
import os
import re
from dataclasses import astuple, dataclass
from pathlib import Path

from .laboratory import PROJECT, Event, Update, sha256

TABLE = PROJECT / "docs" / "faults.md"
WRITES = "WRITE_FAULTS"  # set by `make faults`
FAULTS = (
    "a peer that sends garbage",
    "a tracker that answers nonsense, from the start",
    "a tracker that answers nonsense, from its second announce on",
    "a tracker that takes requests and never answers, from the start",
    "a tracker that takes requests and never answers, from its second announce on",
    "an image swapped in mid-fill, by rename",
    "an image swapped in mid-fill, over the old one",
    "a seat’s cable pulled for 30 s",
    "the repository’s cable pulled for 30 s",
    "a disk that is full at a random byte",
    "a server’s disk with read errors",
    "a seat’s disk with read errors",
    "a seat’s disk with write errors",
    "a clock set back a year",
    "a cache of a thousand images",
    "a name in Spanish",
    "a name whose bytes are no UTF-8",
)
_HEAD = "| fault | staged | the user saw | the image afterwards | measured |\n|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Row:
    fault: str
    staged: str
    saw: str
    image: str
    measured: str

    @property
    def line(self) -> str:
        return "| " + " | ".join(astuple(self)) + " |\n"


def rows(text: str) -> dict[str, Row]:
    """The rows of the table, by fault."""
    lines = text.partition(_HEAD)[2].splitlines()
    found = [Row(*line.removeprefix("| ").removesuffix(" |").split(" | ")) for line in lines]
    return {row.fault: row for row in found}


def tell(fault: str, staged: str, saw: str, image: str, measured: str) -> None:
    """What a fault did; the table says the same, or is to say so from now on."""
    assert fault in FAULTS
    row = Row(fault, staged, saw, image, measured)
    if os.environ.get(WRITES):
        _write(row)
        return
    known = rows(TABLE.read_text())
    facts, table = astuple(row)[:4], astuple(known[fault])[:4]
    assert facts == table, "docs/faults.md says something else: make faults"


def _write(row: Row) -> None:
    with TABLE.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two rooms may fill at a time
        text = file.read()
        known = {**rows(text), row.fault: row}
        file.seek(0)
        file.write(text.partition(_HEAD)[0] + _HEAD)
        file.writelines(known[fault].line for fault in FAULTS if fault in known)
        file.truncate()


def seen(update: Update, *folders: Path) -> str:
    """The exit code of a command that has ended, and its sentence without what varies."""
    if update.process.returncode == 0:
        return "exit 0"
    told = update.log.read_text().removeprefix("ogtorrent: ").strip()
    for folder in folders:
        told = told.replace(str(folder), "…")
    told = re.sub(r"\b[0-9a-f]{40}\b", "N", told)
    without_figures = re.sub(r"(?<![.:\d])\d{4,}|\d+(?= peers)", "N", told)
    return f"exit {update.process.returncode}: “{without_figures}”"


def stands(place: Path, **versions: str) -> str:
    """Which version stands whole at a place; `versions`: their SHA-256. Nothing else may stand there."""
    if not place.exists():
        return "none"
    found = sha256(place)
    (name,) = [name for name, digest in versions.items() if digest == found] or ["a mix"]
    assert name != "a mix", f"{place} is none of {sorted(versions)}"
    return f"{name}, whole"


def share(done: Event) -> str:
    """What a fill fetched, over the size of its image."""
    return f"{done['fetched'] / done['size']:.2f} copies"
