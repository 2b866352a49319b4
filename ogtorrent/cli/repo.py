"""`ogtorrent repo`: the trees of a repository, in their administrator's hands."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import click
import psutil

from ogtorrent import layout
from ogtorrent.cli import inventory
from ogtorrent.cli.stock import cache_option
from ogtorrent.errors import NoCache
from ogtorrent.layout import Here, ImagePath, Layout
from ogtorrent.words import words


@click.group(help=words("The tree of a repository: make it, look after it, move it."))
def repo() -> None:
    pass


@repo.command(
    help=words(
        "Make a tree of OpenGnsys at ROOT, for `serve` to take. What stands already stays as it is.\n\n"
        "Its folders belong to whom the folder above them belongs."
    )
)
@click.argument("root", metavar="ROOT", type=click.Path(path_type=Path))
@click.option(
    "--layout",
    "name",
    type=click.Choice([str(name) for name in Layout if name is not Layout.BARE]),
    default=str(Layout.CURRENT),
    show_default=True,
    help=words("Which tree."),
)
@click.option(
    "--package", default="", metavar=words("NAME"), help=words("The package's folder, of the EAC layout.")
)
def init(root: Path, name: str, package: str) -> None:
    from ogtorrent.repository import folders

    if package and name != Layout.EAC:
        raise click.UsageError(words("--package is of the EAC layout."))
    for folder, made in folders.init(layout.planned(root, Layout(name), package)):
        click.echo(
            words("{path}: made", path=folder) if made else words("{path}: stands already", path=folder)
        )


@repo.command(
    help=words(
        "Move the legacy tree ROOT, .../opengnsys/images, to the current layout: .../opengnsys/repo/images."
        "\n\n"
        "Servers and seats may go on meanwhile: the old path leads to the new one from then on. Cut off "
        "anywhere, it goes on when it is run again."
    )
)
@click.argument("root", metavar="ROOT", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Choice([str(Layout.CURRENT)]),
    default=str(Layout.CURRENT),
    show_default=True,
    help=words("Which layout."),
)
@click.option("--dry-run", is_flag=True, help=words("Only say what would be done."))
def migrate(root: Path, target: str, dry_run: bool) -> None:
    from ogtorrent.repository.migrate import Move, plan

    move = Move(root)
    told = {
        "MAKE": words("{path}: made, with groups and clients", path=move.tree.top),
        "CLEAR_NEW": words("{path}: it is empty and makes room", path=move.new),
        "CLEAR_OLD": words("{path}: it is empty and makes room", path=move.old),
        "PREPARE": words("{path}: a link is prepared", path=move.new),
        "EXCHANGE": words(
            "{old}: moves to {new}, and a link stands in its place", old=move.old, new=move.new
        ),
        "LINK_OLD": words("{old}: a link to {new}", old=move.old, new=move.new),
        "LINK_NEW": words("{new}: a link to {old}, a disk of its own", old=move.old, new=move.new),
    }
    done = False
    for step in plan(move.look()) if dry_run else move.run():
        click.echo(told[step.name])
        done = True
    if not done:
        click.echo(words("{path}: a tree of the current layout, nothing to do", path=move.tree.top))
    elif not dry_run:
        click.echo(
            words(
                "A server that runs goes on. Start it with {path} from now on; what is exported by NFS as "
                "{old} is to be exported as {new}.",
                path=move.tree.top,
                old=move.old,
                new=move.new,
            )
        )


_root = click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar=words("FOLDER"),
    help=words("The repository's tree; that of OpenGnsys on this machine by default."),
)
_server = click.option(
    "--server", default="", metavar="IP", help=words("The repository's address, on another machine than it.")
)


@repo.command(
    help=words(
        "Print where IMAGE of PLACE stands on this machine. PLACE is REPO, CACHE, localhost, the address of "
        "another server or PC, DVD-ID or USB-ID."
    )
)
@click.argument("place", metavar=words("PLACE"))
@click.argument("image", metavar=words("IMAGE"))
@_root
@cache_option
@_server
def path(place: str, image: str, root: Path | None, directory: Path | None, server: str) -> None:
    here = _here(root, directory, server)
    paths = here.paths(here.place(place), ImagePath.of("/", image.removeprefix("/")))
    click.echo(next((path for path in paths if path.exists()), paths[0]))


@repo.command(
    help=words("Print the place and image that PATH leads to, as `ogtorrent repo path` takes them.")
)
@click.argument("path", metavar=words("PATH"), type=click.Path(path_type=Path))
@_root
@cache_option
@_server
def image(path: Path, root: Path | None, directory: Path | None, server: str) -> None:
    place, found = _here(root, directory, server).locate(path.absolute())
    click.echo(f"{place} {found}")


def _here(root: Path | None, directory: Path | None, server: str) -> Here:
    from ogtorrent.cache import partition

    found = layout.default_root() if root is None else layout.recognise(root)
    try:
        cache = directory.absolute() if directory is not None else partition.mounted()
    except NoCache:
        cache = None  # a server has none, and most places are none
    return Here(found, cache, _own_addresses(), server)


def _own_addresses() -> frozenset[str]:
    found = set()
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            try:
                found.add(str(ipaddress.ip_address(address.address.partition("%")[0])))
            except ValueError:  # of the interface itself
                continue
    return frozenset(found)


repo.add_command(inventory.group)
repo.add_command(inventory.client)
