"""`ogtorrent update-cache`: bring one image into the cache, and show how it goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from ogtorrent.cache import events
from ogtorrent.cache.options import TorrentOptions
from ogtorrent.cache.update import update
from ogtorrent.errors import OgtorrentError
from ogtorrent.layout import ImagePath

PLAIN_EVERY = 3.0  # seconds between lines where there is no terminal


@click.command("update-cache")
@click.argument("server")
@click.argument("subdir")
@click.argument("image")
@click.option(
    "--cache",
    "directory",
    type=click.Path(readable=False, path_type=Path),
    help="The cache; the partition labelled CACHE by default.",
)
@click.option(
    "--session",
    default="peer:3600",
    show_default=True,
    metavar="MODE:SECONDS",
    help="peer or seeder: seed that long afterwards; leecher: only take.",
)
@click.option(
    "--address", default="0.0.0.0", metavar="IP", help="This PC's address in the room; all by default."
)
@click.option("--name", help="What the server's page calls this PC; its host name by default.")
@click.option("--verify", is_flag=True, help="Read an image that is there already, and mend it.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON, one a line.")
def update_cache(
    server: str,
    subdir: str,
    image: str,
    directory: Path | None,
    session: str,
    address: str,
    name: str | None,
    verify: bool,
    as_json: bool,
) -> None:
    """Bring SUBDIR/IMAGE from the repository SERVER[:PORT] into the cache. SUBDIR may be /.

    Ends when the image stands whole; the cache goes on seeding it in the background.
    """
    show = _show_json if as_json else _show_terminal if sys.stdout.isatty() else _show_plain
    try:
        wanted = ImagePath.of(subdir, image)
        options = TorrentOptions.parse(session)
        last = show(update(server, wanted, directory, options, address, verify, name))
    except OgtorrentError as error:
        last = events.Failed(str(error), error.exit_code)
        if as_json:
            click.echo(events.encode(last))
    if isinstance(last, events.Failed):
        click.echo(f"ogtorrent: {last.message}", err=True)
        sys.exit(last.exit_code)


def _show_json(happens: Iterator[events.Event]) -> events.Event | None:
    last = None
    for last in happens:
        click.echo(events.encode(last))
        sys.stdout.flush()
    return last


def _show_plain(happens: Iterator[events.Event]) -> events.Event | None:
    told, last = 0.0, None
    for last in happens:
        if isinstance(last, events.Progress | events.Checking):
            if time.monotonic() - told < PLAIN_EVERY:
                continue
            told = time.monotonic()
        line = describe(last)
        if line:
            click.echo(line)
            sys.stdout.flush()
    return last


def _show_terminal(happens: Iterator[events.Event]) -> events.Event | None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    last = None
    with Progress(
        TextColumn("{task.fields[image]}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[told]}"),
        console=Console(highlight=False),
        transient=True,
    ) as progress:
        bar = progress.add_task("", image="", told="", total=None)
        for last in happens:
            match last:
                case events.Started():
                    progress.update(bar, image=last.image, total=last.size)
                case events.Checking():
                    progress.update(bar, completed=last.done, told="checking what is there")
                case events.Progress():
                    progress.update(bar, completed=last.done, told=_figures(last))
    if isinstance(last, events.Done):
        click.echo(describe(last))
    return last


def describe(event: events.Event) -> str:
    """One line for people; empty for a failure, which is told on standard error."""
    match event:
        case events.Started():
            return f"{event.image}: {amount(event.size)} to {event.path}"
        case events.Checking():
            return f"checking what is there: {_percent(event.done, event.size)}"
        case events.Progress():
            return f"{_percent(event.done, event.size)}  {_figures(event)}"
        case events.Done() if event.fetched == 0:
            return f"{event.image}: whole, nothing to fetch{_seeding(event)}"
        case events.Done():
            rate = amount(int(event.fetched / event.seconds)) if event.seconds else "?"
            share = _percent(event.from_seats, event.fetched)
            return (
                f"{event.image}: whole after {duration(event.seconds)}, {rate}/s, "
                f"{share} from other seats{_seeding(event)}"
            )
        case events.Failed():
            return ""


def _figures(event: events.Progress) -> str:
    fetched = event.from_seats + event.from_repository
    share = f"{_percent(event.from_seats, fetched)} from seats" if fetched else "nothing yet"
    left = f"{duration(event.left)} left" if event.left is not None else "waiting"
    trouble = f"  tracker: {event.tracker}" if event.tracker else ""
    peers = "1 peer" if event.peers == 1 else f"{event.peers} peers"
    return f"{amount(event.rate)}/s  {peers}  {share}  {left}{trouble}"


def _seeding(event: events.Done) -> str:
    return f"; seeding for {duration(event.seeding)}" if event.seeding else ""


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // whole if whole else 100} %"


def amount(size: int) -> str:
    """Bytes as people read them."""
    power = min((len(str(size)) - 1) // 3, 4)
    value = size / 1000**power
    digits = 1 if power >= 2 and value < 100 else 0
    return f"{value:.{digits}f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
