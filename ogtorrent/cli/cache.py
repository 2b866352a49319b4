"""`ogtorrent cache`: the cache of this PC and its seeder."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from ogtorrent.cache import control, partition
from ogtorrent.errors import ImageLocked

cache_option = click.option(
    "--cache",
    "directory",
    type=click.Path(path_type=Path),
    help="The cache; the partition labelled CACHE by default.",
)


@click.group()
def cache() -> None:
    """The cache of this PC."""


@cache.command()
@cache_option
@click.option("--address", default="0.0.0.0", show_default=True, help="The address to seed from.")
@click.option(
    "--port", default=6881, show_default=True, type=click.IntRange(0, 65535), help="The port to seed from."
)
@click.option("--until-idle", is_flag=True, hidden=True, help="As update-cache starts it.")
def seed(directory: Path | None, address: str, port: int, until_idle: bool) -> None:
    """Seed every whole image of the cache until SIGTERM or Ctrl-C."""
    # Not before it is needed: a command that only asks the seeder starts without libtorrent's session.
    from ogtorrent.cache.seeder import Seeder

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S", stream=sys.stderr
    )
    found = partition.find(directory)
    with control.Home(found) as home:
        if home.claim() is None:
            if until_idle:
                return  # two commands at once started one each; the other one serves both
            raise ImageLocked(str(found), "a seeder of this cache runs already")

        async def run() -> None:
            await Seeder(found, address, port, stays=not until_idle).run(home)

        asyncio.run(run())


@cache.command()
@cache_option
def stop(directory: Path | None) -> None:
    """End the cache's seeder; its images stay."""
    if not control.stop(partition.find(directory)):
        click.echo("no seeder runs")
