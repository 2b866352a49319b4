"""`ogtorrent update-cache`: bring one image into the cache, and show how it goes."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ogtorrent.cache import events
from ogtorrent.cache.options import Full, Protocol, Way, WhenFull, when_full
from ogtorrent.cache.plan import Adopt, BringBack, Check, Fetch, InPlace, NoSpace, OtherForm, UpToDate
from ogtorrent.cache.removal import making_room
from ogtorrent.cache.update import Origin, rehearse, update
from ogtorrent.cli import feeder
from ogtorrent.errors import CacheFull, OgtorrentError
from ogtorrent.fetch.server import DEFAULT_PORT
from ogtorrent.layout import ImagePath
from ogtorrent.words import words

PLAIN_EVERY = 3.0  # seconds between lines where there is no terminal


@click.command(
    "update-cache",
    help=words(
        "Bring SUBDIR/IMAGE from the repository SERVER[:PORT] into the cache. SUBDIR may be /. With --from, "
        "there is no SERVER.\n\n"
        "Ends when the image stands whole; the cache goes on seeding it in the background."
    ),
)
@click.argument("named", nargs=-1, required=True, metavar=words("[SERVER] SUBDIR IMAGE"))
@click.option(
    "--from",
    "disk",
    metavar=words("PLACE"),
    help=words(
        "Bring it from a disk of this PC, and feed the room from that: usb, dvd, a path, USB-ID, DVD-ID or "
        "the address of a mounted repository."
    ),
)
@click.option(
    "--cache",
    "directory",
    type=click.Path(readable=False, path_type=Path),
    metavar=words("DIR"),
    help=words("The cache; the partition labelled CACHE by default."),
)
@click.option(
    "--protocol",
    type=click.Choice([str(protocol) for protocol in Protocol], case_sensitive=False),
    default="torrent",
    show_default=True,
    metavar=words("PROTOCOL"),
    help=words("torrent; multicast, which the swarm mends; or unicast: HTTP from the repository."),
)
@click.option(
    "--session",
    metavar=words("SESSION"),
    help=words(
        "MODE:SECONDS; peer or seeder: seed that long afterwards; leecher: only take. peer:3600 by default. "
        "With multicast, PORTBASE:METHOD:ADDRESS:SPEEDM:CLIENTS:WAIT; the image's own by default."
    ),
)
@click.option(
    "--address",
    default="0.0.0.0",
    metavar="IP",
    help=words("This PC's address in the room; all by default."),
)
@click.option("--name", help=words("What the server's page calls this PC; its host name by default."))
@click.option("--verify", is_flag=True, help=words("Read an image that is there already, and mend it."))
@click.option(
    "--when-full",
    "action",
    type=click.Choice([str(action) for action in WhenFull]),
    metavar=words("ACTION"),
    help=words(
        "fail; evict the images that were not used for longest; or write over the old version, in-place. "
        "As ACTIONCACHEFULL of OpenGnsys says by default, else fail."
    ),
)
@click.option("--evict-seeding", is_flag=True, help=words("Evict what other PCs take from this one, too."))
@click.option("--dry-run", is_flag=True, help=words("Only say what would have to go."))
@click.option("--json", "as_json", is_flag=True, help=words("Events as JSON, one a line."))
def update_cache(
    named: tuple[str, ...],
    disk: str | None,
    directory: Path | None,
    protocol: str,
    session: str | None,
    address: str,
    name: str | None,
    verify: bool,
    action: str | None,
    evict_seeding: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    _check_use(len(named), disk is not None, dry_run)
    *servers, subdir, image = named
    show = _show_json if as_json else _show_terminal if sys.stdout.isatty() else _show_plain
    try:
        wanted = ImagePath.of(subdir, image)
        way = Way.parse(Protocol(protocol.lower()), session)
        full = Full(WhenFull(action) if action is not None else when_full(), evict_seeding)
        place = None
        if disk is not None:
            fed = feeder.feed(disk, wanted, directory, address, _reading(as_json))
            servers, place = [fed.server], fed.place
            if not as_json:
                click.echo(_others(fed.server, subdir, image))
        (server,) = servers
        if dry_run:
            _rehearse(server, wanted, directory, verify, full, as_json)
            return
        last = show(update(Origin(server, place), wanted, directory, way, address, verify, name, full))
    except OgtorrentError as error:
        last = events.Failed(str(error), error.exit_code)
        if as_json:
            click.echo(events.encode(last))
    if isinstance(last, events.Failed):
        click.echo(f"ogtorrent: {last.message}", err=True)
        sys.exit(last.exit_code)


def _check_use(arguments: int, from_disk: bool, dry_run: bool) -> None:
    if arguments != (2 if from_disk else 3):
        raise click.UsageError(words("It takes SERVER SUBDIR IMAGE; with --from PLACE, SUBDIR IMAGE."))
    if dry_run and from_disk:
        raise click.UsageError(words("--dry-run cannot be with --from, which begins to feed the room."))


def _others(server: str, subdir: str, image: str) -> str:
    host = server.removesuffix(f":{DEFAULT_PORT}")
    command = shlex.join(["ogtorrent", "update-cache", host, subdir, image])
    return words("The room is fed from here; on the other PCs: {command}", command=command)


def _reading(as_json: bool) -> Callable[[int, int], None]:
    """Tell how far an image that has no `.torrent` is read."""
    told = time.monotonic()

    def progress(done: int, size: int) -> None:
        nonlocal told
        if time.monotonic() - told >= PLAIN_EVERY and size:
            told = time.monotonic()
            event = events.Checking(done, size)
            click.echo(events.encode(event) if as_json else describe(event))

    return progress


def _rehearse(
    server: str, image: ImagePath, directory: Path | None, verify: bool, full: Full, as_json: bool
) -> None:
    """Raises OgtorrentError, CacheFull among them."""
    step, room = rehearse(server, image, directory, verify, full)
    told = events.MakingRoom(0, room.free, [], [], False)
    match step:
        case NoSpace(needed, free, total):
            raise CacheFull(str(image), needed, free, total)
        case UpToDate() | OtherForm() | Adopt():
            line = words("{image}: whole, nothing to fetch", image=image)
        case BringBack():
            line = words("{image}: it is the previous version, nothing to fetch", image=image)
        case Check():
            line = words("{image}: what is there is read first", image=image)
        case Fetch() | InPlace():
            told = making_room(step, room.free)
            line = describe(told)
            if not step.evict and isinstance(step, Fetch):
                line += "\n" + words("nothing has to go")
    click.echo(events.encode(told) if as_json else line)


def _show_json(happens: Iterator[events.Event]) -> events.Event | None:
    last = None
    for last in happens:
        click.echo(events.encode(last))
        sys.stdout.flush()
    return last


def _show_plain(happens: Iterator[events.Event]) -> events.Event | None:
    told, last = 0.0, None
    for last in happens:
        if isinstance(last, events.Progress | events.Checking | events.Gathering):
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
                case events.Alone() | events.BySwarm():
                    progress.console.print(describe(last))
                case events.Started():
                    progress.update(bar, image=last.image, total=last.size)
                case events.Checking():
                    progress.update(bar, completed=last.done, told=words("checking what is there"))
                case events.Gathering():
                    progress.update(bar, told=describe(last))
                case events.MakingRoom() | events.Overlay():
                    progress.console.print(describe(last), markup=False)
                case events.Progress():
                    progress.update(bar, completed=last.done, told=_figures(last))
    if isinstance(last, events.Done):
        click.echo(describe(last))
    return last


def describe(event: events.Event) -> str:
    """One line for people; empty for a failure, which is told on standard error."""
    match event:
        case events.Alone():
            return words(
                "The repository {server} does not answer ({why}); going on with what the room has.",
                server=event.repository,
                why=event.why,
            )
        case events.Started():
            size = words.bytes(event.size)
            return words("{image}: {size} to {path}", image=event.image, size=size, path=event.path)
        case events.Checking():
            part = _percent(event.done, event.size)
            return words("checking what is there: {part}", part=part)
        case events.MakingRoom():
            return _room(event)
        case events.Gathering():
            return words(
                "multicast: {seats} of {clients} seats, begins in {time} at the latest",
                seats=event.seats,
                clients=event.clients,
                time=words.span(event.seconds),
            )
        case events.BySwarm():
            return words("Not by multicast but from the swarm: {why}.", why=event.why)
        case events.Progress():
            return f"{_percent(event.done, event.size)}  {_figures(event)}"
        case events.Overlay():
            return _overlay(event)
        case events.Done() if event.fetched == 0:
            return (
                words("{image}: whole, nothing to fetch", image=event.image)
                + _shared(event)
                + _seeding(event)
            )
        case events.Done():
            line = words(
                "{image}: whole after {time}, {rate}, {part} from other seats",
                image=event.image,
                time=words.span(event.seconds),
                rate=words.rate(event.fetched / event.seconds) if event.seconds else "?",
                part=_percent(event.from_seats, event.fetched),
            )
            return line + _shared(event) + _seeding(event)
        case events.Failed():
            return ""


def _room(event: events.MakingRoom) -> str:
    needs = words(
        "{needed} are needed, {free} are free", needed=words.bytes(event.needed), free=words.bytes(event.free)
    )
    lines = [needs]
    lines += [words("goes: the previous version of {image}", image=image) for image in event.previous]
    lines += [words("goes: {image}", image=image) for image in event.images]
    if event.in_place:
        lines.append(words("written over: the version that stands now; the image is missing until the end"))
    return "\n".join(lines)


def _overlay(event: events.Overlay) -> str:
    match event.state:
        case "brought":
            return words(
                "comes with it: {overlay}, {size}", overlay=event.overlay, size=words.bytes(event.size)
            )
        case "removed":
            return words("no longer comes with it: {overlay}", overlay=event.overlay)
        case _:
            return words("comes with it: {overlay}, nothing to fetch", overlay=event.overlay)


def _figures(event: events.Progress) -> str:
    fetched = event.from_seats + event.from_repository
    parts = [
        words.rate(event.rate),
        words.plural("1 peer", "{count} peers", event.peers),
        words("{part} from seats", part=_percent(event.from_seats, fetched))
        if fetched
        else words("nothing yet"),
        words("{time} left", time=words.span(event.left)) if event.left is not None else words("waiting"),
    ]
    if event.tracker:
        parts.append(words("tracker: {sentence}", sentence=event.tracker))
    return "  ".join(parts)


def _shared(event: events.Done) -> str:
    if not event.shared:
        return ""
    return words("; {part} of it was on this PC already", part=_percent(event.shared, event.size))


def _seeding(event: events.Done) -> str:
    return words("; seeding for {time}", time=words.span(event.seeding)) if event.seeding else ""


def _percent(part: int, whole: int) -> str:
    return words.percent(part / whole if whole else 1.0)
