"""`ogtorrent cache make-offline|offline-status`: a cache that boots by itself."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click

from ogtorrent.cache import partition
from ogtorrent.cli.stock import cache_option
from ogtorrent.offline.live import RUNNING
from ogtorrent.offline.plan import Choice, Name, State
from ogtorrent.words import marked, words

NAMES = {
    Name.LIVE: marked("live system"),
    Name.MENU: marked("menu"),
    Name.BIOS: marked("GRUB for BIOS"),
    Name.UEFI: marked("GRUB for UEFI"),
}
STATES = {
    State.CURRENT: marked("current"),
    State.MISSING: marked("missing"),
    State.OLD: marked("old"),
    State.ANOTHER: marked("another system's"),
    State.LEFT: marked("left out"),
    State.IMPOSSIBLE: marked("impossible"),
}
NOT_COMPLETE = 2  # OG_ERR_NOTFOUND


def _arguments(context: click.Context, parameter: click.Parameter, append: str | None) -> str | None:
    try:
        shlex.split(append or "")
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return append


@click.command(
    "make-offline",
    help=words(
        "Make this PC boot from its cache, without a network: a live system, GRUB, a menu of the images.\n\n"
        "What is asked for once is kept: the next run brings all up to date."
    ),
)
@cache_option
@click.option(
    "--live",
    metavar=words("SOURCE"),
    help=words("Where the live system is from: a folder, an image of the cache, or `running`."),
)
@click.option(
    "--append", callback=_arguments, metavar=words("ARGUMENTS"), help=words("More arguments for its kernel.")
)
@click.option(
    "--boot-loader",
    "choice",
    type=click.Choice([str(one) for one in Choice]),
    help=words("Which to install, even in the place of another system's; `auto` takes free places alone."),
)
def make_offline(directory: Path | None, live: str | None, append: str | None, choice: str | None) -> None:
    from ogtorrent.cache.bootable import images
    from ogtorrent.offline.make import make

    cache = partition.find(directory)
    make(
        cache,
        images(cache),
        _where(cache, live),
        append,
        Choice(choice) if choice is not None else None,
        click.echo,
    )


@click.command(
    "offline-status",
    help=words("Say what is missing or old of what make-offline makes. Exit code 0: nothing is, else 2."),
)
@cache_option
@click.option("--json", "as_json", is_flag=True, help=words("As one JSON object."))
def offline_status(directory: Path | None, as_json: bool) -> None:
    from ogtorrent.cache.bootable import images
    from ogtorrent.offline.look import look
    from ogtorrent.offline.plan import boots

    cache = partition.find(directory, written=False)
    there = look(cache, images(cache))
    parts = there.parts()
    complete = boots(parts, there.asked.choice)
    if as_json:
        live = there.live
        told = {
            "complete": complete,
            "disk": str(there.disk.device),
            "parts": [{"part": one.name, "state": one.state, "why": one.why} for one in parts],
            "live": None
            if live is None
            else {
                "kind": live.kind,
                "from": live.where,
                "files": {name: {"size": size, "sha256": sha} for name, (size, sha) in live.files.items()},
            },
        }
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for one in parts:
            line = f"{words(NAMES[one.name])}: {words(STATES[one.state])}"
            click.echo(f"{line} ({one.why})" if one.why else line)
    sys.exit(0 if complete else NOT_COMPLETE)


def _where(cache: Path, live: str | None) -> str | None:
    """A folder as it is, an image of the cache as the folder that it is. Raises OgtorrentError."""
    if live is None or live == RUNNING:
        return live
    if Path(live).is_dir():
        return str(Path(live).absolute())
    from ogtorrent.cache import stock

    root, image = stock.find(cache, live)
    return str(root.image(image))


COMMANDS = (make_offline, offline_status)
