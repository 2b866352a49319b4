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
from ogtorrent.swarm.forms import in_form
from ogtorrent.words import words


@click.command(
    help=words(
        "Write .torrent, .sum and .full.sum beside IMAGE, a file or a directory.\n\n"
        "A server that runs publishes by itself; this is for images that it is to find ready."
    )
)
@click.argument(
    "images",
    nargs=-1,
    required=True,
    metavar=words("IMAGE..."),
    type=click.Path(readable=False, path_type=Path),
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar=words("FOLDER"),
    help=words(
        "The folder that `serve` gets; else the tree of OpenGnsys around the image, or its own folder."
    ),
)
@click.option(
    "--listen",
    default="0.0.0.0:6969",
    show_default=True,
    metavar=words("ADDRESS:PORT"),
    help=words("Where `serve` listens."),
)
@click.option("--announce", multiple=True, metavar="URL", help=words("A tracker's URL to write instead."))
@click.option(
    "--single-file",
    "single",
    is_flag=True,
    help=words("In the form that OpenGnsys's own seats (ctorrent) can save, as `serve --single-file`."),
)
@click.option("--again", is_flag=True, help=words("Hash also what is published and unchanged."))
def publish(
    images: tuple[Path, ...],
    root: Path | None,
    listen: str,
    announce: tuple[str, ...],
    single: bool,
    again: bool,
) -> None:
    survive_lease_breaks()
    address, port = parse_listen(listen)
    trackers = announce or tuple(announce_urls(address, port))
    worst = 0
    for path in images:
        try:
            _publish_one(path.absolute(), _root_of(path.absolute(), root), trackers, single, again)
        except OgtorrentError as error:  # the other images are not this one's fault
            click.echo(f"ogtorrent: {error}", err=True)
            worst = worst or error.exit_code
    sys.exit(worst)


def _root_of(path: Path, folder: Path | None) -> Root:
    """That of images or, for an overlay, of its layer."""
    if folder is None:
        return layout.enclosing(path)
    images = layout.recognise(folder)
    layers = (root for root in layout.Tree(images).layers if path.is_relative_to(root.path))
    return next(layers, images)


def _publish_one(path: Path, root: Root, trackers: tuple[str, ...], single: bool, again: bool) -> None:
    image = image_at(path, root)
    known = standing(root, image)
    if not again and known is not None and in_form(known, single) is known:
        click.echo(words("{path}: published already, unchanged", path=path))
        return
    started = time.monotonic()
    told = [started]

    def progress(done: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - told[0] >= 0.2:
            told[0] = time.monotonic()
            line = words("{name}: {amount} hashed", name=path.name, amount=words.bytes(done))
            click.echo(f"\r\033[K{line}", err=True, nl=False)

    published = write(root, image, trackers, progress, single)
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
    seconds = time.monotonic() - started
    click.echo(
        words.plural(
            "{path}: {size} bytes, 1 piece, {time} ({rate})",
            "{path}: {size} bytes, {count} pieces, {time} ({rate})",
            published.pieces,
            path=path,
            size=published.size,
            time=words.span(seconds),
            rate=words.rate(published.size / seconds),
        )
    )
