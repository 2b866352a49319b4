"""The figures of all contenders, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.lesson import Contender, Filling
from benchmarks.setting import Setting

_GIB = 1 << 30
# Below this share of idle time the machine, not the tool or the network, may have set the pace.
BUSY_BELOW = 0.10


@dataclass
class Outcome:
    """What came of one contender's turns."""

    contender: Contender
    absence: str | None = None
    fillings: list[Filling] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """A figure of one filling, and how it is written; the table shows its median over the runs."""

    key: str
    title: str
    figure: Callable[[Filling], float | None]
    form: str


def columns(setting: Setting) -> list[Column]:
    # Without a limit there is nothing to divide by, and seconds a GiB say what a port could do.
    unit = setting.limit or setting.size / _GIB
    suffix, of = ("over_limit", "x limit") if setting.limit else ("seconds_a_gib", "s a GiB")
    peers_and_gib = setting.clients * setting.size / _GIB

    def cpu(filling: Filling) -> float | None:
        return None if filling.cpu_seconds is None else filling.cpu_seconds / peers_and_gib

    return [
        Column(f"last_{suffix}", f"last\n{of}", lambda run: max(run.seconds) / unit, ".2f"),
        Column(f"median_{suffix}", f"median\n{of}", lambda run: median(run.seconds) / unit, ".2f"),
        Column("copies", "copies\nsent", lambda run: run.bytes_sent / setting.size, ".2f"),
        Column("cpu_seconds_a_peer_and_gib", "CPU s a\npeer, GiB", cpu, ".1f"),
        Column("idle", "idle", lambda run: run.idle, ".0%"),
    ]


def as_table(outcomes: Sequence[Outcome], setting: Setting) -> Table:
    table = Table(title=_title(setting), caption=_caption(), box=box.SIMPLE_HEAD)
    table.add_column("contender", no_wrap=True)
    shown = columns(setting)
    for column in shown:
        table.add_column(column.title, justify="right", no_wrap=True)
    for outcome in outcomes:
        figures = [_cell(column, outcome.fillings) for column in shown]
        table.add_row(f"{outcome.contender.name}\n{_remark(outcome)}".rstrip(), *figures)
    return table


def reasons(outcomes: Sequence[Outcome]) -> list[str]:
    """Why contenders were absent or failed, a line each."""
    absent = [
        f"{outcome.contender.name} is absent: {outcome.absence}" for outcome in outcomes if outcome.absence
    ]
    failed = [f"{outcome.contender.name} failed: {why}" for outcome in outcomes for why in outcome.failures]
    return absent + failed


def as_json(outcomes: Sequence[Outcome], setting: Setting) -> str:
    report = {
        "machine": machine(),
        "setting": {
            "clients": setting.clients,
            "rate_mbit": setting.rate,
            "repository_rate_mbit": setting.repository_rate,
            "size_bytes": setting.size,
            "limit_seconds": setting.limit,
        },
        "contenders": {outcome.contender.name: _entry(outcome, setting) for outcome in outcomes},
    }
    return json.dumps(report, indent=2)


def machine() -> dict[str, Any]:
    return {
        "commit": _commit(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _entry(outcome: Outcome, setting: Setting) -> dict[str, Any]:
    figures = columns(setting)
    return {
        "versions": _versions(outcome.contender),
        "absence": outcome.absence,
        "failures": outcome.failures,
        "median": {column.key: _median(column, outcome.fillings) for column in figures},
        "runs": [
            {
                "seconds": run.seconds,
                "bytes_sent": run.bytes_sent,
                "cpu_seconds": run.cpu_seconds,
                "start_spread_seconds": run.start_spread,
                **{column.key: column.figure(run) for column in figures},
            }
            for run in outcome.fillings
        ],
    }


def _figures(column: Column, fillings: Sequence[Filling]) -> list[float]:
    return [figure for run in fillings if (figure := column.figure(run)) is not None]


def _median(column: Column, fillings: Sequence[Filling]) -> float | None:
    figures = _figures(column, fillings)
    return median(figures) if figures else None


def _cell(column: Column, fillings: Sequence[Filling]) -> str:
    figures = _figures(column, fillings)
    if not figures:
        return "–"
    shown = format(median(figures), column.form)
    if len(figures) > 1:
        shown += f"\n{min(figures):{column.form}}–{max(figures):{column.form}}"
    return shown


def _remark(outcome: Outcome) -> str:
    if outcome.absence:
        return "absent"
    if outcome.failures:
        return f"FAILED {len(outcome.failures)} of {len(outcome.failures) + len(outcome.fillings)}"
    return "CPU spent" if median(run.idle for run in outcome.fillings) < BUSY_BELOW else ""


def _title(setting: Setting) -> str:
    def spoken(rate: float | None) -> str:
        return "unshaped" if rate is None else f"{rate:g} Mbit/s"

    ports = spoken(setting.rate)
    if setting.repository_rate != setting.rate:
        ports += f", repository {spoken(setting.repository_rate)}"
    limit = "" if setting.limit is None else f"; limit {setting.limit:.1f} s"
    return f"{setting.clients} clients, {setting.size >> 20} MiB, {ports}{limit}"


def _caption() -> str:
    facts = machine()
    return f"commit {facts['commit']}, Linux {facts['kernel']}, {facts['cores']} cores"


def _commit() -> str | None:
    """The project's commit, with a plus when the files differ from it; None outside a clone."""
    git = ["git", "-C", str(Path(__file__).parent)]
    if which("git") is None:
        return None
    head = subprocess.run(
        [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    if head.returncode:
        return None
    changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False)
    return head.stdout.strip() + ("+" if changes.stdout else "")


def _versions(contender: Contender) -> dict[str, str]:
    """Debian's versions of the packages that the contender uses; empty on other systems."""
    if which("dpkg-query") is None:
        return {}
    query = [
        "dpkg-query",
        "--show",
        "--showformat=${Package} ${Version}\n",
        *set(contender.programs.values()),
    ]
    shown = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return dict(line.split(" ", 1) for line in sorted(shown.splitlines()))
