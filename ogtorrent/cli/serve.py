"""`ogtorrent serve`: tracker, first seed, publisher, page and catalogue in one process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ogtorrent import layout, settings
from ogtorrent.interfaces import Network
from ogtorrent.layout import Layout
from ogtorrent.removable.images import keep_on_disk, root_of
from ogtorrent.repository import as_it_stands
from ogtorrent.repository.addresses import parse_listen, parse_networks, parse_rooms
from ogtorrent.repository.mirror.source import checked
from ogtorrent.repository.serve import Served, Wanted
from ogtorrent.repository.serve import serve as run
from ogtorrent.repository.token import configured_token, token_in
from ogtorrent.words import words


def _by(parse: Callable[[Any], object]) -> Callable[[click.Context, click.Parameter, Any], object]:
    """An option's callback: what is wrong is told while it is known where it was given."""
    return lambda context, parameter, given: parse(given)


@click.command(
    help=words(
        "Publish and seed every image below ROOT until SIGTERM or Ctrl-C.\n\n"
        "ROOT is a folder of images or a tree of OpenGnsys; without it, the tree of OpenGnsys "
        "on this machine."
    )
)
@click.argument("root", required=False, metavar=words("[ROOT]"), type=click.Path(path_type=Path))
@click.option(
    "--settings",
    metavar=words("FILE"),
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=settings.take,
    help=words(
        "A TOML file that sets any of these options, and root; what the command line says counts before it."
    ),
)
@click.option(
    "--layout",
    "name",
    type=click.Choice([str(name) for name in Layout]),
    help=words("The tree's layout, where it is not recognised."),
)
@click.option(
    "--listen",
    default="0.0.0.0:6969",
    show_default=True,
    metavar=words("ADDRESS:PORT"),
    callback=_by(parse_listen),
    help=words("Tracker, page and catalogue."),
)
@click.option(
    "--peer-port",
    default=6881,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar=words("PORT"),
    help=words("Port of the first seed."),
)
@click.option(
    "--announce",
    multiple=True,
    metavar="URL",
    help=words("A tracker's URL to write into metainfo; by default those of this host. May be repeated."),
)
@click.option(
    "--allow",
    multiple=True,
    callback=_by(parse_networks),
    metavar=words("NETWORK"),
    help=words(
        "A network whose PCs may announce, such as 158.42.0.0/16, besides the private ones and those of "
        "this host's interfaces. May be repeated."
    ),
)
@click.option(
    "--trust-proxy",
    multiple=True,
    callback=_by(parse_networks),
    metavar=words("NETWORK"),
    help=words("A proxy whose X-Forwarded-For says who is announcing. May be repeated."),
)
@click.option(
    "--room",
    "rooms",
    multiple=True,
    callback=_by(parse_rooms),
    metavar=words("[NAME=]NETWORK"),
    help=words(
        "A network whose PCs sit together, such as aula1=10.1.1.0/24; by default each /24 of IPv4, each /64 "
        "of IPv6. May be repeated."
    ),
)
@click.option(
    "--store",
    metavar="URL",
    help=words(
        "Keep the tracker's swarms in Valkey or Redis, such as valkey://10.1.0.5:6379/0, for "
        "several servers to share."
    ),
)
@click.option(
    "--access-log",
    metavar=words("FILE"),
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help=words("A line for each request to the tracker goes there; - is standard error."),
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar=words("FILE"),
    help=words(
        "Who sends what stands in FILE may change groups, clients and images over HTTP; by default the "
        "ApiToken of OpenGnsys's ogAdmRepo.cfg, and without one this host alone."
    ),
)
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar=words("SOURCE"),
    help=words(
        "Keep the images of another repository, http://SERVER[:PORT], or of a mounted folder, in step here. "
        "May be repeated."
    ),
)
@click.option(
    "--mirror-image",
    "mirrored",
    multiple=True,
    metavar="GLOB",
    help=words(
        "Mirror these alone, such as 'aula1/*' or 'windows*.img'; with a slash it is of the whole path, "
        "without one of the name. May be repeated."
    ),
)
@click.option(
    "--single-file",
    "single",
    is_flag=True,
    help=words(
        "Publish each image of one file so that OpenGnsys's own seats (ctorrent) can save it; new seats "
        "take it, too."
    ),
)
@click.option(
    "-v", "--verbose", is_flag=True, help=words("Log also what is only of interest to a developer.")
)
def serve(
    root: Path | None,
    name: str | None,
    listen: tuple[str, int],
    peer_port: int,
    announce: tuple[str, ...],
    allow: list[Network],
    trust_proxy: list[Network],
    rooms: dict[Network, str],
    store: str | None,
    access_log: Path | None,
    token_file: Path | None,
    mirrors: tuple[str, ...],
    mirrored: tuple[str, ...],
    single: bool,
    verbose: bool,
) -> None:
    if mirrored and not mirrors:
        raise click.UsageError(words("--mirror-image needs --mirror: whose images are meant?"))
    if single and mirrors:
        raise click.UsageError(
            words("--single-file cannot be with --mirror: a mirror keeps its source's form")
        )
    _log(verbose)
    found = layout.default_root() if root is None else layout.recognise(root, Layout(name) if name else None)
    if root is not None and os.statvfs(root).f_flag & os.ST_RDONLY:
        keep_on_disk(root, found)
    click.echo(words("{path}: {layout} layout", path=found.path, layout=found.mirror.layout))

    wanted = Wanted(
        found,
        *listen,
        peer_port,
        announce,
        allow,
        trust_proxy,
        rooms,
        store,
        access_log,
        token_in(token_file) if token_file is not None else configured_token(),
        [checked(source) for source in mirrors],
        mirrored,
        single,
    )
    # Where somebody wants more than what stands there, it must be said that it cannot be written.
    more = mirrors or store or access_log
    if not more and os.statvfs(found.path).f_flag & os.ST_RDONLY:
        click.echo(words("{path} is read-only: it is served as it stands", path=found.path))
        asyncio.run(as_it_stands.serve(replace(wanted, root=root_of(found.path)), None, _ready))
    else:
        asyncio.run(run(wanted, _ready))


def _log(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s" if verbose else "%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.getLogger("watchfiles").setLevel(logging.WARNING)


def _ready(served: Served) -> None:
    shown = served.trackers[0].removesuffix("announce")
    click.echo(
        words.plural(
            "seeding 1 image on port {port}; page {page}",
            "seeding {count} images on port {port}; page {page}",
            served.images,
            port=served.peer_port,
            page=shown,
        )
    )
    for tracker in served.trackers:
        click.echo(f"announce {tracker}")
    sys.stdout.flush()
