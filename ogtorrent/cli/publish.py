"""`ogtorrent publish`: write the sidecars of images now."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from ogtorrent import layout
from ogtorrent.errors import OgtorrentError
from ogtorrent.layout import Root
from ogtorrent.repository.addresses import announce_urls, parse_listen
from ogtorrent.repository.publish import image_at, standing
from ogtorrent.repository.publish import publish as write
from ogtorrent.repository.writers import survive_lease_breaks


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(readable=False, path_type=Path))
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="The folder that `serve` gets; else the tree of OpenGnsys around the image, or its own folder.",
)
@click.option(
    "--listen",
    default="0.0.0.0:6969",
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where `serve` listens.",
)
@click.option("--announce", multiple=True, metavar="URL", help="A tracker's URL to write instead.")
@click.option("--again", is_flag=True, help="Hash also what is published and unchanged.")
def publish(
    images: tuple[Path, ...], root: Path | None, listen: str, announce: tuple[str, ...], again: bool
) -> None:
    """Write .torrent, .sum and .full.sum beside IMAGES, files or directories.

    A server that runs publishes by itself; this is for images that it is to find ready.
    """
    survive_lease_breaks()
    address, port = parse_listen(listen)
    trackers = announce or tuple(announce_urls(address, port))
    worst = 0
    for path in images:
        try:
            _publish_one(
                path.absolute(), layout.recognise(root) if root else layout.enclosing(path), trackers, again
            )
        except OgtorrentError as error:  # the other images are not this one's fault
            click.echo(f"ogtorrent: {error}", err=True)
            worst = worst or error.exit_code
    sys.exit(worst)


def _publish_one(path: Path, root: Root, trackers: tuple[str, ...], again: bool) -> None:
    image = image_at(path, root)
    if not again and standing(root, image) is not None:
        click.echo(f"{path}: published already, unchanged")
        return
    started = time.monotonic()
    told = [started]

    def progress(done: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - told[0] >= 0.2:
            told[0] = time.monotonic()
            click.echo(f"\r{path.name}: {done / 1e6:,.0f} MB hashed", err=True, nl=False)

    published = write(root, image, trackers, progress)
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
    seconds = time.monotonic() - started
    rate = published.size / 1e6 / seconds
    click.echo(
        f"{path}: {published.size} bytes, {published.pieces} pieces, {seconds:.1f} s ({rate:,.0f} MB/s)"
    )
