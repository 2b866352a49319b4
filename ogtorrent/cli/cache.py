"""`ogtorrent cache`: the cache of this PC and its seeder."""

from __future__ import annotations

from pathlib import Path

import click

from ogtorrent.cache import control, partition
from ogtorrent.cache.control import Home
from ogtorrent.cli import stock
from ogtorrent.cli.stock import cache_option
from ogtorrent.errors import ImageLocked
from ogtorrent.words import words


@click.group(help=words("The cache of this PC."))
def cache() -> None:
    pass


for command in stock.COMMANDS:
    cache.add_command(command)


@cache.command(help=words("Seed every whole image of the cache until SIGTERM or Ctrl-C."))
@cache_option
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
def seed(directory: Path | None, address: str, port: int) -> None:
    # Not before it is needed: `cache stop` does without libtorrent.
    from ogtorrent.cache import seeder

    found = partition.find(directory)
    with Home(found) as home:
        if home.claim() is None:
            raise ImageLocked(str(found), words("a seeder of this cache runs already"))
    seeder.run(found, address, port, stays=True)


@cache.command(help=words("End the cache's seeder; its images stay."))
@cache_option
def stop(directory: Path | None) -> None:
    if not control.stop(partition.find(directory)):
        click.echo(words("no seeder runs"))
