"""Fills a classroom by several tools in turn, on the same work, and compares them.

python -m benchmarks.classroom --clients 8 --rate 100 --size 256
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks.contenders import CONTENDERS
from benchmarks.report import as_data, as_table, machine, reasons
from benchmarks.room import stop_signals_raise, why_no_room
from benchmarks.scenario import SCENARIOS
from benchmarks.setting import Setting
from benchmarks.timetable import hold_lessons

_MIB = 1 << 20


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--clients",
    default=8,
    show_default=True,
    type=click.IntRange(1, 240),
    help="Seats, of each room where there are two.",
)
@click.option(
    "--rate",
    default=100.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Mbit/s of a port; 0: unshaped.",
)
@click.option("--repository-rate", type=click.FloatRange(0), help="Mbit/s of the repository, if it differs.")
@click.option(
    "--size",
    type=click.IntRange(1),
    help="MiB of an image [default: 256, or 128 of each of two].",
)
@click.option(
    "--scenario", default="plain", show_default=True, type=click.Choice(list(SCENARIOS)), help="What happens."
)
@click.option("--runs", default=1, show_default=True, type=click.IntRange(1), help="Turns of each contender.")
@click.option(
    "--contender", "names", multiple=True, type=click.Choice(list(CONTENDERS)), help="Only this; repeatable."
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--trace", is_flag=True, help="After each run tell how full each port was, second by second.")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the files go [default: /dev/shm if they fit, else the temporary directory].",
)
def main(
    clients: int,
    rate: float,
    repository_rate: float | None,
    size: int | None,
    scenario: str,
    runs: int,
    names: tuple[str, ...],
    wants_json: bool,
    trace: bool,
    directory: Path | None,
) -> None:
    """Fill a classroom of network namespaces by several tools in turn, and compare them."""
    own_rate = rate if repository_rate is None else repository_rate
    happening = SCENARIOS[scenario]
    image_size = (size or 256 // happening.images) * _MIB
    setting = Setting(clients, rate or None, own_rate or None, image_size, happening)
    if refusal := setting.why_not():
        raise click.UsageError(refusal)
    if trace and setting.rate is None:
        raise click.UsageError("an unshaped port has no rate that --trace could tell the share of")
    if reason := why_no_room():
        raise click.ClickException(reason)
    contenders = [contender for name, contender in CONTENDERS.items() if not names or name in names]

    def say(text: str) -> None:
        click.echo(text, err=True)

    try:
        with stop_signals_raise():
            outcomes = hold_lessons(contenders, setting, runs, directory, say, trace)
    except OSError as failure:
        raise click.ClickException(str(failure)) from failure
    if wants_json:
        click.echo(json.dumps({"machine": machine(), **as_data(outcomes, setting)}, indent=2))
    else:
        Console().print(as_table(outcomes, setting))
    for reason in reasons(outcomes):
        say(reason)
    if any(outcome.failures for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
