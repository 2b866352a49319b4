"""`ogtorrent repo`: the trees of a repository, in their administrator's hands."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import click

from ogtorrent import layout
from ogtorrent.cli import inventory
from ogtorrent.cli.mount import server_option
from ogtorrent.cli.stock import cache_option
from ogtorrent.errors import NoCache, NotWritable, UnfitImage, UnfitInventory
from ogtorrent.interfaces import own_addresses
from ogtorrent.layout import Here, ImagePath, Layout, Tree
from ogtorrent.repository.check import Fault, Finding
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
@click.argument("root", metavar=words("ROOT"), type=click.Path(path_type=Path))
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
        "Say what is wrong with the tree ROOT; without it, with that of OpenGnsys on this machine. A server "
        "may run meanwhile.\n\n"
        "Ends with 5 where something is wrong still."
    )
)
@click.argument("root", required=False, metavar=words("[ROOT]"), type=click.Path(path_type=Path))
@click.option(
    "--fix", is_flag=True, help=words("Mend what is safe to mend; no image and no overlay is touched.")
)
@click.option("--json", "as_json", is_flag=True, help=words("As one JSON object."))
def check(root: Path | None, fix: bool, as_json: bool) -> None:
    from ogtorrent.repository.check import examine
    from ogtorrent.repository.kept import Kept
    from ogtorrent.repository.survey import look, mend

    found = layout.default_root() if root is None else layout.recognise(root)
    if fix:
        with contextlib.suppress(UnfitInventory):  # which is told
            Kept(Tree(found)).finish()
    findings, left, told = examine(look(Tree(found)), time.time()), 0, []
    for finding in findings:
        mended, why = False, ""
        if fix and finding.mend is not None:
            try:
                mend(finding.mend)
                mended = True
            except (NotWritable, UnfitInventory) as error:
                why = str(error)
        left += not mended
        path = click.format_filename(finding.path)
        told.append({"path": path, "fault": str(finding.fault), "detail": finding.detail, "mended": mended})
        if not as_json:
            click.echo(f"{path}: {_fault(finding)}{_mended(finding, fix, mended)}")
        if why:
            click.echo(f"ogtorrent: {why}", err=True)
    if as_json:
        answer = {"root": str(found.path), "layout": str(found.mirror.layout), "faults": told}
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif not findings:
        click.echo(
            words("{path}: {layout} layout, nothing is wrong", path=found.path, layout=found.mirror.layout)
        )
    sys.exit(UnfitImage.exit_code if left else 0)


def _mended(finding: Finding, fix: bool, mended: bool) -> str:
    if mended:
        return "; " + words("mended")
    return "; " + words("--fix mends it") if finding.mend is not None and not fix else ""


def _fault(finding: Finding) -> str:
    match finding.fault:
        case Fault.STRAY:
            return words("the image that it belongs to is gone")
        case Fault.NO_IMAGE:
            return words("a torrent whose image is gone")
        case Fault.NO_TORRENT:
            return words("not published; `ogtorrent serve` does it, or `ogtorrent publish`")
        case Fault.STALE:
            return words("it does not describe the image that stands there")
        case Fault.UNFIT:
            return words("it cannot be published: {why}", why=finding.detail)
        case Fault.UNNAMEABLE:
            return words("its name is not UTF-8; rename it")
        case Fault.LOCKED:
            return words("a lock of more than a day keeps the image back; remove it if nobody writes")
        case Fault.ASIDE:
            return words("left over from a sidecar that was not written to its end")
        case Fault.UNFINISHED:
            return words("a download that nobody has gone on with for a day; remove it if nobody will")
        case Fault.OWNER:
            return words("whom the tree belongs to cannot write into this folder")
        case Fault.UNREADABLE:
            return words("not everybody who may read the tree may read this")
        case Fault.WORLD_WRITABLE:
            return words("everybody may write here")
        case Fault.NO_FOLDER:
            return words("the folder is missing")
        case Fault.UNKNOWN:
            return words("the console knows nobody of this name")
        case Fault.NOT_THERE:
            return words("the console knows it, and its folder is missing")
        case Fault.INVENTORY:
            return finding.detail


@repo.command(
    help=words(
        "Move the legacy tree ROOT, .../opengnsys/images, to the current layout: .../opengnsys/repo/images."
        "\n\n"
        "Servers and seats may go on meanwhile: the old path leads to the new one from then on. Cut off "
        "anywhere, it goes on when it is run again."
    )
)
@click.argument("root", metavar=words("ROOT"), type=click.Path(path_type=Path))
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
    done = set()
    for step in plan(move.look()) if dry_run else move.run():
        click.echo(told[step.name])
        done.add(step.name)
    if not done:
        click.echo(words("{path}: a tree of the current layout, nothing to do", path=move.tree.top))
    elif dry_run:
        click.echo(words("Nothing of this was done yet."))
    else:
        click.echo(words("A server that runs goes on; start it with {path} from now on.", path=move.tree.top))
        if "EXCHANGE" in done:
            click.echo(
                words(
                    "What is exported by NFS as {old} is to be exported as {new}.", old=move.old, new=move.new
                )
            )


_root = click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar=words("FOLDER"),
    help=words("The repository's tree; that of OpenGnsys on this machine by default."),
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
@server_option
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
@server_option
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
    return Here(found, cache, own_addresses(), server)


repo.add_command(inventory.group)
repo.add_command(inventory.client)
