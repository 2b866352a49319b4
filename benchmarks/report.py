"""The figures of all contenders, as a table for people and as JSON for programs."""

from __future__ import annotations

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

from benchmarks.contenders.http import Http
from benchmarks.lesson import Contender, Filling
from benchmarks.scenario import Role
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

    @property
    def is_http(self) -> bool:
        return self.contender.name == Http.name

    @property
    def is_busy(self) -> bool:
        """Whether the machine had too little to spare for the figures to be the contender's."""
        return bool(self.fillings) and median(run.idle for run in self.fillings) < BUSY_BELOW


@dataclass(frozen=True)
class Column:
    """A figure of one filling, and how it is written; the table shows its median over the runs."""

    key: str
    title: str
    figure: Callable[[Filling], float | None]
    form: str


def columns(setting: Setting, outcomes: Sequence[Outcome]) -> list[Column]:
    # Without a limit there is nothing to divide by, and seconds a GiB say what a port could do.
    unit = setting.limit or setting.work / _GIB
    suffix, of = ("over_limit", "x limit") if setting.limit else ("seconds_a_gib", "s a GiB")

    def cpu(run: Filling) -> float | None:
        peers = len(run.seconds) + len(run.late_seconds)
        return None if run.cpu_seconds is None else run.cpu_seconds / (peers * setting.work / _GIB)

    shown = [
        Column(f"last_{suffix}", f"last\n{of}", lambda run: max(run.seconds) / unit, ".2f"),
        Column(f"median_{suffix}", f"median\n{of}", lambda run: median(run.seconds) / unit, ".2f"),
        Column("copies", "copies\nsent", lambda run: run.payload_sent / setting.work, ".2f"),
        Column("cpu_seconds_a_peer_and_gib", "CPU s a\npeer, GiB", cpu, ".1f"),
        Column("idle", "idle", lambda run: run.idle, ".0%"),
    ]
    if Role.LATE in setting.roles:
        late = Column(f"late_{suffix}", f"late\n{of}", lambda run: max(run.late_seconds) / unit, ".2f")
        shown.insert(1, late)
    if setting.scenario.rooms > 1:
        uplink = Column(
            "uplink_copies", "copies\nuplink", lambda run: max(run.payload_inward) / setting.work, ".2f"
        )
        inside = Column(
            "inside", "inside", lambda run: 1 - sum(run.payload_inward) / run.payload_received, ".1%"
        )
        shown[-2:-2] = [uplink, inside]
    plain = [max(run.seconds) for outcome in outcomes for run in outcome.fillings if outcome.is_http]
    if setting.limit is None and plain:
        http = median(plain)
        shown.insert(1, Column("last_over_http", "last\nx http", lambda run: max(run.seconds) / http, ".2f"))
    return shown


def as_table(outcomes: Sequence[Outcome], setting: Setting) -> Table:
    table = Table(title=title(setting), caption=_caption(), box=box.SIMPLE_HEAD)
    table.add_column("contender", no_wrap=True)
    shown = columns(setting, outcomes)
    for column in shown:
        table.add_column(column.title, justify="right", no_wrap=True)
    for outcome in outcomes:
        figures = [cell(column, outcome.fillings, "\n{}–{}") for column in shown]
        table.add_row(f"{outcome.contender.name}\n{_remark(outcome)}".rstrip(), *figures)
    return table


def reasons(outcomes: Sequence[Outcome]) -> list[str]:
    """Why contenders were absent or failed, a line each."""
    absent = [
        f"{outcome.contender.name} is absent: {outcome.absence}" for outcome in outcomes if outcome.absence
    ]
    failed = [f"{outcome.contender.name} failed: {why}" for outcome in outcomes for why in outcome.failures]
    return absent + failed


def as_data(outcomes: Sequence[Outcome], setting: Setting) -> dict[str, Any]:
    """Everything, for JSON."""
    shown = columns(setting, outcomes)
    return {
        "setting": {
            "scenario": setting.scenario.about,
            "clients": setting.clients,
            "rate_mbit": setting.rate,
            "repository_rate_mbit": setting.repository_rate,
            "size_bytes": setting.size,
            "limit_seconds": setting.limit,
        },
        "contenders": {outcome.contender.name: _entry(outcome, shown) for outcome in outcomes},
    }


def machine() -> dict[str, Any]:
    return {
        "commit": _commit(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _entry(outcome: Outcome, figures: Sequence[Column]) -> dict[str, Any]:
    return {
        "versions": _versions(outcome.contender),
        "absence": outcome.absence,
        "failures": outcome.failures,
        "median": {column.key: _median(column, outcome.fillings) for column in figures},
        "runs": [
            {
                "seconds": run.seconds,
                "late_seconds": run.late_seconds,
                "bytes_sent": run.sent.bytes,
                "payload_sent": run.payload_sent,
                "payload_inward": run.payload_inward,
                "payload_received": run.payload_received,
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


def cell(column: Column, fillings: Sequence[Filling], spread: str) -> str:
    """The median and, of several runs, the least and the greatest, written as `spread`."""
    figures = _figures(column, fillings)
    if not figures:
        return "–"
    shown = format(median(figures), column.form)
    if len(figures) > 1:
        shown += spread.format(*(format(edge, column.form) for edge in (min(figures), max(figures))))
    return shown


def _remark(outcome: Outcome) -> str:
    if outcome.absence:
        return "absent"
    if outcome.failures:
        return f"FAILED {len(outcome.failures)} of {len(outcome.failures) + len(outcome.fillings)}"
    return "CPU spent" if outcome.is_busy else ""


def title(setting: Setting) -> str:
    """The setting in a few words."""

    def spoken(rate: float | None) -> str:
        return "unshaped" if rate is None else f"{rate:g} Mbit/s"

    ports = spoken(setting.rate)
    if setting.repository_rate != setting.rate:
        ports += f", repository {spoken(setting.repository_rate)}"
    limit = "" if setting.limit is None else f"; limit {setting.limit:.1f} s"
    about = f", {setting.scenario.about}" if setting.scenario.about else ""
    return f"{setting.clients} clients{about}, {setting.size >> 20} MiB, {ports}{limit}"


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
