"""Kills the repository while a room fills, and tells what that costs beside a room where it lives.

python -m benchmarks.survival
python -m benchmarks.survival --clients 8 --size 256 --runs 3
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import click

from benchmarks.arrivals import Arrivals
from benchmarks.contenders.ogtorrent import Ogtorrent
from benchmarks.lesson import Image, Lesson, compare
from benchmarks.room import Host, Room, stop_signals_raise, why_no_room
from benchmarks.setting import Setting, memory_for
from benchmarks.timetable import make_image

_MIB = 1 << 20


@dataclass(frozen=True)
class Figures:
    """Seconds."""

    last: float
    """From the common start to the last seat's arrival."""
    met: float
    """From the start of the seat that boots afterwards to its first MiB from the room."""
    late: float
    """From there to its arrival."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--clients", default=8, show_default=True, type=click.IntRange(2, 238), help="Seats that fill.")
@click.option(
    "--rate", default=100.0, show_default=True, type=click.FloatRange(1), help="Mbit/s of every port."
)
@click.option("--size", default=256, show_default=True, type=click.IntRange(8), help="MiB of the image.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="Turns of each.")
def main(clients: int, rate: float, size: int, runs: int) -> None:
    """One seat has the image; the others start at once.

    At half of the limit the last of them loses its power and, in every second turn, so does the repository,
    for good. When the others are whole the seat boots again.
    """
    if reason := why_no_room():
        raise click.ClickException(reason)
    setting = Setting(clients + 1, rate, rate, size * _MIB)
    assert setting.limit is not None
    figures: dict[str, list[Figures]] = {"lives": [], "dies": []}
    with (
        stop_signals_raise(),
        tempfile.TemporaryDirectory(prefix="survival-", dir=memory_for(setting.space)) as folder,
    ):
        for turn in range(runs):
            for fate, held in figures.items():
                click.echo(f"the repository {fate}, run {turn + 1} of {runs}", err=True)
                held.append(_hold(setting, Path(folder, f"{fate}-{turn}"), dies=fate == "dies"))
    click.echo(
        "| the repository | last x limit | first MiB of who boots, s | whole after, s |\n|---|---|---|---|"
    )
    for fate, held in figures.items():
        last, met, late = zip(*map(astuple, held), strict=True)
        cells = [_cell([one / setting.limit for one in last]), _cell(met), _cell(late)]
        click.echo(f"| {fate} | {' | '.join(cells)} |")


def _hold(setting: Setting, folder: Path, dies: bool) -> Figures:
    shelf = folder / "repository"
    shelf.mkdir(parents=True)
    image = make_image(shelf / "image.img", setting.size)
    contender = Ogtorrent()
    contender.why_not(setting)
    with Room(setting.clients, setting.rate) as room, Arrivals(lambda host: "") as arrivals:
        lesson = Lesson(room, setting, [image], folder)
        whole, *others, victim = room.seats
        contender.publish(lesson)
        arrivals.expect(contender.fetch(lesson, whole, image))
        arrivals.watch_for([whole], time.monotonic() + setting.patience)
        start = time.monotonic()
        for seat in (*others, victim):
            arrivals.expect(contender.fetch(lesson, seat, image))
        assert setting.limit is not None
        arrivals.watch(start + setting.limit / 2)
        arrivals.forget(victim)
        victim.crash()
        if dies:
            room.repository.crash()
        last = max(arrivals.watch_for(others, start + setting.patience)) - start
        met, late = _boot(contender, lesson, arrivals, victim, image)
        for seat in room.seats:
            compare(lesson.place(seat), image, seat.name)
    return Figures(last, met, late)


def _boot(
    contender: Ogtorrent, lesson: Lesson, arrivals: Arrivals, seat: Host, image: Image
) -> tuple[float, float]:
    start, before = time.monotonic(), seat.bytes_received()
    arrivals.expect(contender.fetch(lesson, seat, image))
    lesson.until(lambda: seat.bytes_received() - before > _MIB, "who boots meets the room")
    met = time.monotonic() - start
    (arrival,) = arrivals.watch_for([seat], start + lesson.setting.patience)
    return met, arrival - start


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    main()
