"""A rebuilt image beside a full fill: what crosses the cable, and how long it takes, by what has changed.

python -m benchmarks.delta --size 1024 --runs 3
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.contenders.ogtorrent import OGTORRENT
from benchmarks.room import Host, Room, why_no_room
from benchmarks.setting import memory_for, touch_memory

_NAME = "image.img"
_MIB = 1 << 20
_CHANGED = 20  # one part in so many
Change = Callable[[bytearray, random.Random], None]


@dataclass(frozen=True)
class Run:
    seconds: float
    sent: int  # bytes on the repository's cable, headers and metainfo included
    shared: int


def _scattered(length: int, step: int) -> Change:
    """Runs of that many bytes at multiples of `step`, until a twentieth has changed."""

    def change(content: bytearray, dice: random.Random) -> None:
        places = range(0, len(content) - length + 1, step)
        for start in dice.sample(places, len(content) // length // _CHANGED):
            content[start : start + length] = dice.randbytes(length)

    return change


def _all_new(content: bytearray, dice: random.Random) -> None:
    for start in range(0, len(content), _MIB):
        content[start : start + _MIB] = dice.randbytes(len(content[start : start + _MIB]))


def _inserted(content: bytearray, dice: random.Random) -> None:
    size = len(content)
    content[size // 2 : size // 2] = dice.randbytes(1000)
    del content[size:]  # as on a disk


def _grown(content: bytearray, dice: random.Random) -> None:
    _scattered(_MIB, _MIB)(content, dice)
    content += dice.randbytes(_MIB)


CASES: dict[str, Change] = {
    "5 % in regions of 1 MiB": _scattered(_MIB, _MIB),
    "5 % in runs of 64 KiB": _scattered(64 << 10, 64 << 10),
    "5 % in blocks of 4 KiB": _scattered(4 << 10, 4 << 10),
    "nothing shared": _all_new,
    "1000 bytes put in at the middle": _inserted,
    "5 % in regions of 1 MiB, grown into longer pieces": _grown,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--size", default=1024, show_default=True, type=click.IntRange(32), help="MiB of the image.")
@click.option("--rate", type=float, help="Mbit/s of a port; as fast as it goes by default.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1))
@click.option("--case", "cases", multiple=True, type=click.Choice(list(CASES)), help="Only this one.")
@click.option("--directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(size: int, rate: float | None, runs: int, cases: tuple[str, ...], directory: Path | None) -> None:
    """Fill an empty cache and one that has the version before, in turn; medians, and the ratio run by run."""
    if reason := why_no_room():
        raise click.ClickException(reason)
    space = 5 * size * _MIB
    folder = Path(tempfile.mkdtemp(prefix="delta-", dir=directory or memory_for(space)))
    touch_memory(space)
    click.echo(
        "| what changed | moved | shared | full fill | delta | delta / full |\n|---|---|---|---|---|---|"
    )
    try:
        old = folder / "old" / "images" / _NAME
        old.parent.mkdir(parents=True)
        dice = random.Random(0)
        with old.open("wb") as file:
            for _ in range(size):
                file.write(dice.randbytes(_MIB))
        _publish(old)
        for case in cases or CASES:
            click.echo(_line(case, _measured(folder, old, case, rate, runs), size * _MIB))
    finally:
        shutil.rmtree(folder)


def _line(case: str, pairs: list[tuple[Run, Run]], size: int) -> str:
    full, delta = zip(*pairs, strict=True)
    ratios = [after.seconds / before.seconds for before, after in pairs]
    return (
        f"| {case} | {statistics.median(run.sent for run in delta) / size:.1%} "
        f"| {statistics.median(run.shared for run in delta) / size:.1%} "
        f"| {statistics.median(run.seconds for run in full):.2f} s "
        f"| {statistics.median(run.seconds for run in delta):.2f} s "
        f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |"
    )


def _measured(folder: Path, old: Path, case: str, rate: float | None, runs: int) -> list[tuple[Run, Run]]:
    """Pairs of a full fill and one into a cache that has the old version."""
    new = folder / "new" / "images" / _NAME
    shutil.rmtree(new.parent, ignore_errors=True)
    new.parent.mkdir(parents=True)
    content = bytearray(old.read_bytes())
    CASES[case](content, random.Random(case))
    new.write_bytes(content)
    del content
    _publish(new)
    with Room(1, rate) as room:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        room.repository.popen([*OGTORRENT, "serve", new.parent], **quiet)
        _wait_for(room.repository)
        found = []
        for turn in range(runs + 1):
            pair = _fill(room, folder / "cache", None, new), _fill(room, folder / "cache", old, new)
            if turn:  # the first one warms up
                found.append(pair)
        return found


def _publish(image: Path) -> None:
    subprocess.run([*OGTORRENT, "publish", image], check=True, stdout=subprocess.DEVNULL)


def _wait_for(repository: Host) -> None:
    entry = ["curl", "-fsS", f"http://{repository.address}:6969/catalogue/{_NAME}"]
    deadline = time.monotonic() + 60
    while '"ready"' not in repository.run(entry, check=False).stdout.replace(" ", ""):
        if time.monotonic() > deadline:
            raise click.ClickException("the repository does not offer the image")
        time.sleep(0.1)


def _fill(room: Room, cache: Path, old: Path | None, new: Path) -> Run:
    shutil.rmtree(cache, ignore_errors=True)
    if old is None:
        cache.mkdir()
    else:
        shutil.copytree(old.parent, cache / "images")
    before = room.repository.bytes_sent()
    wanted: list[str | Path] = [room.repository.address, "/", _NAME, "--cache", cache]
    started = time.perf_counter()
    told = room.seats[0].run([*OGTORRENT, "update-cache", *wanted, "--session", "leecher:0", "--json"]).stdout
    seconds = time.perf_counter() - started
    sent = room.repository.bytes_sent() - before
    room.seats[0].run([*OGTORRENT, "cache", "stop", "--cache", cache], check=False)
    subprocess.run(["cmp", cache / "images" / _NAME, new], check=True)
    return Run(seconds, sent, json.loads(told.splitlines()[-1])["shared"])


if __name__ == "__main__":
    main()
