"""Holds every room that the project has a goal for, and prints how near to it the contenders come.

python -m benchmarks.goals
python -m benchmarks.goals late killed --runs 1
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.http import Http
from benchmarks.report import Column, Outcome, as_data, cell, columns, machine, reasons, title
from benchmarks.room import stop_signals_raise, why_no_room
from benchmarks.scenario import SCENARIOS
from benchmarks.setting import Setting
from benchmarks.timetable import hold_lessons

_MIB = 1 << 20
_RIVALS = ("ogtorrent", "ctorrent", "aria2")


@dataclass(frozen=True)
class Goal:
    """A room, and the most that a figure may be there, by the key of its column."""

    setting: Setting
    wanted: Mapping[str, str]


def _eight(
    wanted: Mapping[str, str], scenario: str = "plain", size: int = 256, repository_rate: float = 100
) -> Goal:
    return Goal(Setting(8, 100, repository_rate, size * _MIB, SCENARIOS[scenario]), wanted)


def _few(clients: int) -> Goal:
    return Goal(Setting(clients, 100, 100, 256 * _MIB), {"last_over_limit": "1.08"})


GOALS = {
    "8": _eight({"last_over_limit": "1.08", "copies": "1.03"}),
    "24": Goal(Setting(24, 25, 25, 192 * _MIB), {"last_over_limit": "1.10", "copies": "1.06"}),
    "1": _few(1),
    "2": _few(2),
    "4": _few(4),
    "late": _eight({"late_over_limit": "1.08", "last_over_limit": "1.10", "copies": "1.1"}, "late"),
    "killed": _eight({"last_over_limit": "1.10"}, "killed"),
    "slow-port": _eight({"last_over_limit": "1.12"}, "slow-port"),
    "slow-repository": _eight({"last_over_limit": "1.10", "copies": "1.06"}, repository_rate=50),
    "fast-repository": _eight({"last_over_limit": "1.07"}, repository_rate=400),
    "two-images": _eight({"last_over_limit": "1.10"}, "two-images", size=128),
    "two-rooms": _eight({"last_over_limit": "1.25", "uplink_copies": "1.3"}, "two-rooms"),
    "unshaped": Goal(Setting(1, None, None, 2048 * _MIB), {"last_over_http": "1.15"}),
    "warm": _eight({"last_over_limit": "as fresh"}, "warm"),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("rooms", nargs=-1, type=click.Choice(list(GOALS)))
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="Turns of each contender.")
@click.option(
    "--contender",
    "names",
    multiple=True,
    default=_RIVALS,
    show_default=True,
    type=click.Choice(list(CONTENDERS)),
    help="Only this; repeatable. Where ports are unshaped, http is there, too.",
)
@click.option("--size", type=click.IntRange(1), help="MiB of an image, for a trial [default: the goal's].")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON, at the end, instead of a table.")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the files go [default: /dev/shm if they fit, else the temporary directory].",
)
def main(
    rooms: tuple[str, ...],
    runs: int,
    names: tuple[str, ...],
    size: int | None,
    wants_json: bool,
    directory: Path | None,
) -> None:
    """Hold the rooms of these goals, or of all, and print each contender's figures beside the goal."""
    if reason := why_no_room():
        raise click.ClickException(reason)
    goals = {name: _resized(GOALS[name], size) for name in rooms or GOALS}
    in_table = sorted({name for goal in goals.values() for name in _taking_part(goal, names)}, key=_rank)
    _tell(not wants_json, heading(in_table))
    held = {}
    for name, goal in goals.items():
        _say(f"{name}: {title(goal.setting)}")
        contenders = [CONTENDERS[one] for one in _taking_part(goal, names)]
        try:
            with stop_signals_raise():
                held[name] = hold_lessons(contenders, goal.setting, runs, directory, _say)
        except OSError as failure:
            raise click.ClickException(str(failure)) from failure
        # Room by room, because all of them take hours.
        _tell(not wants_json, rows(goal, held[name], in_table))
        for reason in reasons(held[name]):
            _say(reason)
    if wants_json:
        click.echo(as_json(goals, held))
    if any(outcome.failures for outcomes in held.values() for outcome in outcomes):
        sys.exit(1)


def heading(names: Sequence[str]) -> list[str]:
    return [_row(["room", "figure", "goal", *names]), _row(["---"] * (3 + len(names)))]


def rows(goal: Goal, outcomes: Sequence[Outcome], names: Sequence[str]) -> list[str]:
    """The lines of a Markdown table for one room, one for each figure, with a cell for each of `names`."""
    by_name = {outcome.contender.name: outcome for outcome in outcomes}
    lines: list[str] = []
    for column in columns(goal.setting, outcomes):
        if _is_shown(column, goal):
            room = "" if lines else title(goal.setting)
            figures = [_figure(column, by_name.get(name)) for name in names]
            figure_name = column.title.replace("\n", " ")
            lines.append(_row([room, figure_name, goal.wanted.get(column.key, ""), *figures]))
    return lines


def as_json(goals: Mapping[str, Goal], held: Mapping[str, Sequence[Outcome]]) -> str:
    rooms: dict[str, Any] = {
        name: {"goals": dict(goals[name].wanted), **as_data(outcomes, goals[name].setting)}
        for name, outcomes in held.items()
    }
    return json.dumps({"machine": machine(), "rooms": rooms}, indent=2)


def _is_shown(column: Column, goal: Goal) -> bool:
    if goal.setting.limit is None and column.key.startswith("cpu"):
        return True
    always = column.key in ("copies", "inside", "idle") or column.key.startswith("last_")
    return always or column.key in goal.wanted


def _figure(column: Column, outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    if outcome.absence:
        return "absent"
    figure = cell(column, outcome.fillings, " ({}–{})")
    if column.key == "idle" and outcome.is_busy:
        figure += ", CPU spent"
    if column.key.startswith("last_") and outcome.failures:
        figure += f", failed {len(outcome.failures)} of {len(outcome.failures) + len(outcome.fillings)}"
    return figure


def _taking_part(goal: Goal, names: Sequence[str]) -> list[str]:
    """Without a limit HTTP is the measure, and so has to be there."""
    wanted = {*names, Http.name} if goal.setting.limit is None else {*names}
    return sorted(wanted, key=_rank)


def _rank(name: str) -> int:
    return list(CONTENDERS).index(name)


def _resized(goal: Goal, size: int | None) -> Goal:
    return goal if size is None else replace(goal, setting=replace(goal.setting, size=size * _MIB))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _tell(wanted: bool, lines: Sequence[str]) -> None:
    if wanted:
        click.echo("\n".join(lines))


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
