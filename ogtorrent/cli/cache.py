"""`ogtorrent cache`: the cache of this PC and its seeder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ogtorrent.cache import control, disk_server, partition
from ogtorrent.cache.hours import Quiet, bytes_a_second
from ogtorrent.cli import offline, stock
from ogtorrent.cli.stock import cache_option
from ogtorrent.mounts.storage import place_of
from ogtorrent.words import words


class Written(click.ParamType[Any]):
    """A value that its own parser reads."""

    name = "text"

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(help=words("The cache of this PC."))
def cache() -> None:
    pass


for command in (*stock.COMMANDS, *offline.COMMANDS):
    cache.add_command(command)


@cache.command(help=words("Seed every whole image of the cache, now and later, until SIGTERM or Ctrl-C."))
@cache_option
@click.option(
    "--from",
    "disk",
    metavar=words("PLACE"),
    help=words(
        "Seed the images of a disk or another mounted repository, as they stand, instead of the cache's: "
        "usb, dvd, a path, USB-ID, DVD-ID or an address. Nothing is written there."
    ),
)
@click.option(
    "--address", default="0.0.0.0", metavar="IP", show_default=True, help=words("The address to seed from.")
)
@click.option(
    "--port",
    default=control.PEER_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar=words("PORT"),
    help=words("The port to seed from."),
)
@click.option(
    "--upload-limit",
    type=Written(bytes_a_second),
    default=0,
    metavar=words("RATE"),
    help=words("Give at most so many bits a second: 500K, 50M, 1G."),
)
@click.option(
    "--quiet",
    type=Written(Quiet.parse),
    metavar=words("HOURS"),
    help=words("Give nothing in these hours of the day: 08:00-15:00."),
)
def seed(
    directory: Path | None, disk: str | None, address: str, port: int, upload_limit: int, quiet: Quiet | None
) -> None:
    # Not before it is needed: `cache stop` does without libtorrent.
    from ogtorrent.cache import feeder, service

    if disk is not None:
        if directory is not None:
            raise click.UsageError(words("--from seeds a disk, --cache a cache: give one of them."))
        feeder.run(service.Service(place_of(disk), address, port, upload_limit, quiet))
        return

    named = directory.absolute() if directory is not None else None
    service.run(service.Service(named, address, port, upload_limit, quiet))


@cache.command(help=words("End the cache's seeder, and what feeds the room from a disk; its images stay."))
@cache_option
def stop(directory: Path | None) -> None:
    cache = partition.find(directory)
    fed = disk_server.stop(cache)
    if not control.stop(cache) and not fed:
        click.echo(words("no seeder runs"))
