"""How fast the tracker answers, beside opentracker and beside servers that do nothing but answer.

python -m benchmarks.announce
python -m benchmarks.announce keep-alive udp --turns 1
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import click

from benchmarks.announcer import BARE_ANSWER, SEATS, Announcer, EventCode, Verdict, rooms
from benchmarks.crowd import (
    Flood,
    UdpFlood,
    Visit,
    Visits,
    by_the_clock,
    fill,
    flood_http,
    visit_http,
    visit_udp,
)
from benchmarks.report import machine
from benchmarks.room import stop_signals_raise
from benchmarks.trackers import (
    Bare,
    Contender,
    Opentracker,
    Ours,
    Server,
    Shelf,
    TrackerError,
    allow_many_files,
    answer_length,
    fill_shelf,
    running,
    speaks_udp,
)

_ROOMS = 33
_SWARM = 10_000
_GREAT_SWARM = 100_000
_CROWD = 5_000
_CROWD_RATE = 2_500.0
_CLOCK_RATE = 500.0
_WARM_UP = 1
_TRACKERS: tuple[Contender, ...] = (Ours(), Opentracker())
_COLUMNS = ("ogtorrent", "opentracker", "bare")
# A server that had more of its core to spare was not asked for all it can do.
_SATURATED = 0.9

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """A figure of a test, how it is written, and the goal that it has, if any."""

    key: str
    title: str
    form: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def goal(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    def is_met(self, figure: float) -> bool:
        return (self.at_least is None or figure >= self.at_least) and (
            self.at_most is None or figure <= self.at_most
        )


@dataclass(frozen=True)
class Exam:
    """The command's settings, and the torrents that everybody serves."""

    shelf: Shelf
    seconds: int
    patience: float

    @property
    def rooms(self) -> list[Announcer]:
        return rooms(self.shelf.info_hashes[:_ROOMS])

    def swarm(self, peers: Iterable[int]) -> Iterable[Announcer]:
        """Peers of the one torrent that the rooms do not have."""
        return (Announcer(self.shelf.info_hashes[_ROOMS], number) for number in peers)


@dataclass(frozen=True)
class Trial:
    """What is measured of each contender in turn."""

    name: str
    title: str
    contenders: Sequence[Contender]
    measure: Callable[[Server, Exam], Figures]
    rows: Sequence[Row]
    speaks_udp: bool = False
    # Memory does not vary, and a great swarm takes its time.
    once: bool = False


@dataclass
class Outcome:
    """What came of one contender's turns."""

    turns: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def figures(self, key: str) -> list[float]:
        return [turn[key] for turn in self.turns if key in turn]

    @property
    def is_saturated(self) -> bool:
        shares = self.figures("cpu")
        return not shares or median(shares) >= _SATURATED


Outcomes = Mapping[str, Outcome]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[TEST]...")
@click.option(
    "--turns", default=3, show_default=True, type=click.IntRange(1), help="Turns of each contender."
)
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(1), help="Of each measurement.")
@click.option(
    "--patience", default=120.0, show_default=True, help="Seconds until the filling of a swarm is given up."
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON, at the end, instead of a table.")
def main(names: tuple[str, ...], turns: int, seconds: int, patience: float, wants_json: bool) -> None:
    """Measure `python -m tracker`, and print a table with the goals.

    TEST: keep-alive, new-connections, udp, clock-http, clock-udp, crowd, memory; all, if none is given.
    """
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is missing: apt-get install wrk")
    for contender in _TRACKERS:
        if reason := contender.absence():
            raise click.ClickException(reason)
    allow_many_files()
    with stop_signals_raise(), tempfile.TemporaryDirectory(prefix="announce-") as folder:
        # opentracker reads its list as nobody.
        Path(folder).chmod(0o755)
        exam = Exam(fill_shelf(Path(folder), _ROOMS + 1), seconds, patience)
        tests = {test.name: test for test in _tests(_typical_length(exam))}
        if unknown := set(names) - set(tests):
            raise click.UsageError(f"no test {', '.join(sorted(unknown))}; there are {', '.join(tests)}")
        held: dict[str, Outcomes] = {}
        _tell(not wants_json, [_line(["test", "figure", "goal", *_COLUMNS]), _line(["---"] * 6)])
        for name in names or tests:
            held[name] = _take_turns(tests[name], exam, 1 if tests[name].once else turns)
            _tell(not wants_json, lines(tests[name], held[name]))
    if wants_json:
        click.echo(json.dumps({"machine": machine(), "tests": as_data(tests, held)}, indent=2))
    if any(outcome.failures for outcomes in held.values() for outcome in outcomes.values()):
        sys.exit(1)


def _tests(length: int) -> list[Trial]:
    bad = Row("bad", "answers refused, empty or missing", ".0f", at_most=0)
    cpu = Row("cpu", "the server's share of a core", ".0%")
    load = Row("load_cpu", "the load's share of a core", ".0%")
    rate = Row("rate", "announces a second", ",.0f")
    closed = Row("closed", "connections that the server closed", ",.0f")
    per_cpu = Row("per_cpu", "announces a CPU second", ",.0f")
    of_clock = [
        Row("p50", "median, ms", ".1f"),
        Row("p99", "99 of 100, ms", ".1f", at_most=20),
        Row("max", "slowest, ms", ".1f"),
        bad,
        Row("peers", "peers in the swarm", ",.0f", at_least=_SWARM),
        cpu,
        Row("latest", "sent behind the clock, at most ms", ".1f"),
    ]
    http, udp = Bare("http", length), Bare("udp", BARE_ANSWER + 6 * (SEATS - 1))

    def flood(goal: float | None) -> list[Row]:
        over_bare = Row("over_bare", "over bare", ".2f", at_least=goal)
        per_cpu_over_bare = Row("per_cpu_over_bare", "the same, over bare", ".2f")
        return [rate, over_bare, cpu, load, per_cpu, per_cpu_over_bare, bad]

    def by_clock(name: str, about: str, visit: Visit, *, udp: bool = False) -> Trial:
        title = f"{_CLOCK_RATE:.0f} announces a second in a swarm of {_SWARM:,}, {about}"
        return Trial(name, title, _TRACKERS, lambda server, exam: _clock(server, exam, visit), of_clock, udp)

    return [
        Trial(
            "keep-alive",
            f"HTTP, 64 connections that are kept, from one address, {_ROOMS} torrents of {SEATS} peers",
            (*_TRACKERS, http),
            lambda server, exam: _flood_http(server, exam, keep_alive=True),
            [*flood(0.8), closed],
        ),
        Trial(
            "new-connections",
            "the same, a new connection for each announce",
            (*_TRACKERS, http),
            lambda server, exam: _flood_http(server, exam, keep_alive=False),
            flood(None),
        ),
        Trial(
            "udp",
            f"UDP, 64 announces on the way, {_ROOMS} rooms of {SEATS} peers",
            (*_TRACKERS, udp),
            _flood_udp,
            flood(0.6),
            speaks_udp=True,
        ),
        by_clock("clock-http", "HTTP, a new connection each", visit_http),
        by_clock("clock-udp", "UDP, connect and announce", visit_udp, udp=True),
        Trial(
            "crowd",
            f"{_CROWD:,} new peers in {_CROWD / _CROWD_RATE:.0f} s, HTTP",
            _TRACKERS,
            _crowd,
            [
                Row("bad", "refused, failed, empty", ".0f", at_most=0),
                Row("p50", "median wait, ms", ".1f"),
                Row("max", "longest wait, ms", ".0f"),
                Row("span", "sent within s", ".2f"),
                cpu,
            ],
        ),
        Trial(
            "memory",
            "memory",
            _TRACKERS,
            _memory,
            [
                Row("bytes", f"bytes a peer, {_SWARM:,}", ",.0f", at_most=400),
                Row("bytes_great", f"bytes a peer, {_GREAT_SWARM:,}", ",.0f", at_most=400),
                Row("empty", "with no peer, MiB", ",.1f"),
                Row("peers", "peers at last", ",.0f", at_least=_GREAT_SWARM),
            ],
            once=True,
        ),
    ]


def _typical_length(exam: Exam) -> int:
    """Bytes of the answer in a full room, for the bare servers to send."""
    with running(Ours(), exam.shelf) as server:
        room = exam.rooms[:SEATS]
        _must_be_good(fill(server.door, room, exam.patience), spared=len(room))
        return answer_length(server.door, room[0])


def _take_turns(test: Trial, exam: Exam, turns: int) -> Outcomes:
    outcomes = {contender.name: Outcome() for contender in test.contenders}
    for turn in range(turns):
        for contender in test.contenders:
            _say(f"{test.name}, turn {turn + 1}: {contender.name}")
            try:
                with running(contender, exam.shelf) as server:
                    if test.speaks_udp and isinstance(contender, Ours | Opentracker):
                        _must_speak_udp(server)
                    outcomes[contender.name].turns.append(test.measure(server, exam))
            except (TrackerError, OSError) as failure:
                outcomes[contender.name].failures.append(str(failure))
                _say(f"{contender.name}: {failure}")
        _compare(outcomes, turn)
    return outcomes


def _compare(outcomes: Outcomes, turn: int) -> None:
    """Over the bare server of the same turn, because machines drift."""
    if "bare" not in outcomes or outcomes["bare"].failures:
        return
    bare = outcomes["bare"].turns[turn]
    for outcome in _present(outcomes):
        figures = outcome.turns[turn]
        figures["over_bare"] = figures["rate"] / bare["rate"]
        figures["per_cpu_over_bare"] = figures["per_cpu"] / bare["per_cpu"]


def _present(outcomes: Outcomes) -> list[Outcome]:
    return [outcome for outcome in outcomes.values() if not outcome.failures]


def _must_speak_udp(server: Server) -> None:
    if not speaks_udp(server.door):
        raise TrackerError("no answer to a connect over UDP")


def _must_be_good(visits: Visits, spared: int = 0) -> None:
    """The first of a swarm meet nobody; a refusal or a failure is no measurement."""
    if visits.failed or visits.verdicts[Verdict.EMPTY] > spared:
        raise TrackerError(f"a swarm was not filled: {visits.verdicts}, {visits.failures}")


def _flood_http(server: Server, exam: Exam, *, keep_alive: bool) -> Figures:
    def flood(seconds: int) -> Flood:
        return flood_http(server.door, exam.rooms, seconds, exam.shelf.folder, keep_alive=keep_alive)

    # The first second fills the swarms.
    flood(_WARM_UP)
    return _of_flood(server, lambda: flood(exam.seconds))


def _flood_udp(server: Server, exam: Exam) -> Figures:
    checked = speaks_udp(server.door)
    with UdpFlood(server.door, exam.rooms, checked=checked) as flood:
        flood.run(_WARM_UP)
        return _of_flood(server, lambda: flood.run(exam.seconds))


def _of_flood(server: Server, run: Callable[[], Flood]) -> Figures:
    before = server.cpu_seconds()
    flood = run()
    spent = server.cpu_seconds() - before
    return {
        "rate": flood.rate,
        "cpu": spent / flood.seconds,
        "load_cpu": flood.spent / flood.seconds,
        "per_cpu": flood.answers / spent,
        "bad": flood.refused + flood.empty + flood.failed,
        "refused": flood.refused,
        "empty": flood.empty,
        "failed": flood.failed,
        "closed": flood.closed,
    }


def _clock(server: Server, exam: Exam, visit: Visit) -> Figures:
    swarm = list(exam.swarm(range(_SWARM)))
    filling = fill(server.door, swarm, exam.patience)
    _must_be_good(filling, spared=64)
    inside = swarm[: filling.answered]
    chosen = random.Random(1).choices(inside, k=int(_CLOCK_RATE * exam.seconds * 2))
    before, start = server.cpu_seconds(), time.monotonic()
    visits = by_the_clock(server.door, chosen, _CLOCK_RATE, visit)
    cpu = (server.cpu_seconds() - before) / (time.monotonic() - start)
    return {**_of_visits(visits), "cpu": cpu, "peers": len(inside)}


def _crowd(server: Server, exam: Exam) -> Figures:
    # The first one is the repository's seed, so that nobody finds the swarm empty.
    fill(server.door, exam.swarm([_CROWD]), exam.patience)
    before, start = server.cpu_seconds(), time.monotonic()
    visits = by_the_clock(server.door, exam.swarm(range(_CROWD)), _CROWD_RATE, event=EventCode.STARTED)
    cpu = (server.cpu_seconds() - before) / (time.monotonic() - start)
    return {**_of_visits(visits), "cpu": cpu, "span": visits.span}


def _of_visits(visits: Visits) -> Figures:
    figures = {
        "bad": float(visits.failed + visits.verdicts[Verdict.EMPTY]),
        "latest": visits.latest * 1000,
    }
    if len(visits.waits) > 1:
        hundredths = quantiles(visits.waits, n=100, method="inclusive")
        shown = {"p50": hundredths[49], "p99": hundredths[98], "max": max(visits.waits)}
        figures |= {key: seconds * 1000 for key, seconds in shown.items()}
    return figures


def _memory(server: Server, exam: Exam) -> Figures:
    # What serving takes without any peer, such as buffers, has grown before the first look.
    fill(server.door, exam.swarm([_GREAT_SWARM] * 500), exam.patience)
    before = server.memory()
    coming = iter(exam.swarm(range(_GREAT_SWARM)))
    figures: Figures = {"empty": before / (1 << 20)}
    inside = 0
    for key, peers in (("bytes", _SWARM), ("bytes_great", _GREAT_SWARM)):
        filling = fill(server.door, islice(coming, peers - inside), exam.patience)
        _must_be_good(filling, spared=64)
        inside += filling.answered
        if inside < peers:
            break
        figures[key] = (server.memory() - before) / inside
    return {**figures, "peers": inside}


def lines(test: Trial, outcomes: Outcomes) -> list[str]:
    """The rows of a Markdown table for one test."""
    told: list[str] = []
    for row in test.rows:
        if any(outcome.figures(row.key) for outcome in outcomes.values()):
            cells = [_cell(row, name, outcomes) for name in _COLUMNS]
            told.append(_line(["" if told else test.title, row.title, row.goal, *cells]))
    return told


def as_data(tests: Mapping[str, Trial], held: Mapping[str, Outcomes]) -> dict[str, Any]:
    return {
        name: {
            "title": tests[name].title,
            "goals": {row.key: row.goal for row in tests[name].rows if row.goal},
            "contenders": {
                who: {"turns": outcome.turns, "failures": outcome.failures, "saturated": outcome.is_saturated}
                for who, outcome in outcomes.items()
            },
        }
        for name, outcomes in held.items()
    }


def _cell(row: Row, name: str, outcomes: Outcomes) -> str:
    outcome = outcomes.get(name)
    if outcome is None:
        return ""
    figures = outcome.figures(row.key)
    if not figures:
        return "–" if outcome.turns else "absent"
    middle = median(figures)
    shown = format(middle, row.form)
    if len(figures) > 1:
        shown += f" ({format(min(figures), row.form)}–{format(max(figures), row.form)})"
    weighed = {"rate": (outcome,), "over_bare": (outcome, outcomes.get("bare", outcome))}.get(row.key, ())
    if not all(one.is_saturated for one in weighed):
        shown += ", not saturated"
    return shown if name != "ogtorrent" or row.is_met(middle) else f"**{shown}**"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _tell(wanted: bool, text: Sequence[str]) -> None:
    if wanted:
        click.echo("\n".join(text))


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
