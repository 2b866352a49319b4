"""Fills a classroom by several tools in turn, on the same work, and compares them.

python -m benchmarks.classroom --clients 8 --rate 100 --size 256
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from benchmarks.contenders import CONTENDERS
from benchmarks.lesson import IMAGE, Contender, Filling, Lesson, LessonError, fill
from benchmarks.meter import CpuMeter
from benchmarks.report import Outcome, as_json, as_table, reasons
from benchmarks.room import Room, RoomError, stop_signals_raise, why_no_room
from benchmarks.setting import Setting, memory_for

_MIB = 1 << 20


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--clients", default=8, show_default=True, type=click.IntRange(1, 240), help="Seats.")
@click.option(
    "--rate",
    default=100.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Mbit/s of a port; 0: unshaped.",
)
@click.option("--repository-rate", type=click.FloatRange(0), help="Mbit/s of the repository, if it differs.")
@click.option("--size", default=256, show_default=True, type=click.IntRange(1), help="MiB of the image.")
@click.option("--runs", default=1, show_default=True, type=click.IntRange(1), help="Turns of each contender.")
@click.option(
    "--contender", "names", multiple=True, type=click.Choice(list(CONTENDERS)), help="Only this; repeatable."
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the files go [default: /dev/shm if they fit, else the temporary directory].",
)
def main(
    clients: int,
    rate: float,
    repository_rate: float | None,
    size: int,
    runs: int,
    names: tuple[str, ...],
    wants_json: bool,
    directory: Path | None,
) -> None:
    """Fill a classroom of network namespaces by several tools in turn, and compare them."""
    if reason := why_no_room():
        raise click.ClickException(reason)
    own_rate = rate if repository_rate is None else repository_rate
    setting = Setting(clients, rate or None, own_rate or None, size * _MIB)
    outcomes = [Outcome(CONTENDERS[name]) for name in CONTENDERS if not names or name in names]
    for outcome in outcomes:
        outcome.absence = outcome.contender.why_not()
    try:
        _hold_lessons(outcomes, setting, runs, directory or memory_for(setting.size * (setting.clients + 1)))
    except (RoomError, OSError) as failure:
        raise click.ClickException(str(failure)) from failure
    if wants_json:
        click.echo(as_json(outcomes, setting))
    else:
        Console().print(as_table(outcomes, setting))
    for reason in reasons(outcomes):
        click.echo(reason, err=True)
    if any(outcome.failures for outcome in outcomes):
        sys.exit(1)


def _hold_lessons(outcomes: Sequence[Outcome], setting: Setting, runs: int, site: Path) -> None:
    with stop_signals_raise(), tempfile.TemporaryDirectory(prefix="classroom-", dir=site) as folder:
        image = Path(folder) / IMAGE
        digest = _make_image(image, setting.size)
        for turn in range(runs):
            for outcome in outcomes:
                if outcome.absence is None:
                    click.echo(f"{outcome.contender.name}, run {turn + 1} of {runs}", err=True)
                    _take_turn(outcome, setting, image, digest)


def _take_turn(outcome: Outcome, setting: Setting, image: Path, digest: str) -> None:
    try:
        outcome.fillings.append(_hold_lesson(outcome.contender, setting, image, digest))
    except LessonError as failure:
        outcome.failures.append(str(failure))


def _hold_lesson(contender: Contender, setting: Setting, image: Path, digest: str) -> Filling:
    """Let a contender fill a room of its own, in a folder of its own."""
    folder = image.parent / contender.name
    (folder / "repository").mkdir(parents=True)
    own_image = folder / "repository" / IMAGE
    own_image.hardlink_to(image)
    try:
        with CpuMeter() as meter, Room(setting.clients, setting.rate) as room:
            room.repository.set_rate(setting.repository_rate)
            lesson = Lesson(room, own_image, folder, setting.slowest)
            return fill(contender, lesson, digest, meter)
    finally:
        shutil.rmtree(folder)


def _make_image(image: Path, size: int) -> str:
    """Write incompressible bytes and return their SHA-256."""
    hashed = hashlib.sha256()
    with image.open("wb") as file:
        for start in range(0, size, 16 * _MIB):
            chunk = os.urandom(min(16 * _MIB, size - start))
            hashed.update(chunk)
            file.write(chunk)
    return hashed.hexdigest()


if __name__ == "__main__":
    main()
