"""`ogtorrent opengnsys install|uninstall|run`: OpenGnsys's commands by our hand."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from ogtorrent.errors import NoOpenGnsys, NotWritable, OgtorrentError
from ogtorrent.opengnsys.install import (
    Found,
    Standing,
    act,
    is_there,
    look,
    plan_install,
    plan_uninstall,
    version,
)
from ogtorrent.opengnsys.places import PREFIX, places, wrapper
from ogtorrent.words import words


@click.group(help=words("Stand in for OpenGnsys's own commands, and go again."))
def opengnsys() -> None:
    pass


_PREFIX = click.option(
    "--prefix",
    default=PREFIX,
    show_default=True,
    type=click.Path(path_type=Path),
    metavar=words("FOLDER"),
    help=words("Where OpenGnsys is installed."),
)


def _room(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    for name in given:
        if not re.fullmatch(r"[\w.-]+", name):
            raise click.BadParameter(words("{name!r} is no group= of a kernel's command line", name=name))
    return given


@opengnsys.command(
    help=words(
        "Put updateCache, torrent-creator, torrent-tracker and sendFileMcast in the places of OpenGnsys's, "
        "which are kept beside them in `.ogtorrent`.\n\n"
        "Run it again after OpenGnsys was upgraded, or after it was cut."
    )
)
@_PREFIX
@click.option(
    "--room",
    "rooms",
    multiple=True,
    callback=_room,
    metavar=words("GROUP"),
    help=words(
        "Only the PCs of this group of OpenGnsys (`group=` where they boot) take the new updateCache; all "
        "that have ogtorrent by default. May be repeated."
    ),
)
def install(prefix: Path, rooms: tuple[str, ...]) -> None:
    found = [look(place) for place in places(prefix.absolute())]
    if not is_there(found):
        raise NoOpenGnsys(prefix)
    told = version(prefix)
    worst = 0
    for one in found:
        worst = _one(one, partial(_install, wrapper(one.place, program(), rooms), told)) or worst
    sys.exit(worst)


def _install(content: bytes, opengnsys: str, one: Found) -> None:
    steps = plan_install(one, content)
    for step in steps:
        act(step, opengnsys)
    path, kept = one.place.path, one.place.kept
    if one.standing is Standing.NOTHING and not one.kept:
        click.echo(words("{path}: not here, passed over", path=path))
    elif not steps:
        click.echo(words("{path}: in place already", path=path))
    elif one.standing is Standing.ORIGINAL and one.kept and not one.is_kept_twice:
        click.echo(
            words("{path}: OpenGnsys has written a new one, which is {kept} now", path=path, kept=kept)
        )
    else:
        click.echo(words("{path}: in place; the original is {kept}", path=path, kept=kept))


@opengnsys.command(help=words("Bring OpenGnsys's own commands back, byte for byte."))
@_PREFIX
def uninstall(prefix: Path) -> None:
    found, worst = [], 0
    for place in places(prefix.absolute()):
        try:
            found.append(look(place))
        except NotWritable as error:
            worst = _failed(error)
    if not worst and not is_there(found):
        raise NoOpenGnsys(prefix)
    for one in found:
        worst = _one(one, _uninstall) or worst
    sys.exit(worst)


def _uninstall(one: Found) -> None:
    steps = plan_uninstall(one)
    for step in steps:
        act(step, "")
    path, kept = one.place.path, one.place.kept
    if one.standing is Standing.ORIGINAL and one.kept and not one.is_kept_twice:
        click.echo(
            words(
                "{path}: not ours any more, and stays; the one of before is {kept}, "
                "remove it if nobody wants it",
                path=path,
                kept=kept,
            )
        )
    elif one.standing is Standing.ORIGINAL or not steps:
        click.echo(words("{path}: OpenGnsys's own", path=path))
    else:
        click.echo(words("{path}: brought back", path=path))


def _one(found: Found, do: Callable[[Found], None]) -> int:
    """One command's failure is not the others'."""
    try:
        do(found)
    except OgtorrentError as error:
        return _failed(error)
    return 0


def _failed(error: OgtorrentError) -> int:
    click.echo(f"ogtorrent: {error}", err=True)
    return error.exit_code


def program() -> Sequence[str]:
    """How this ogtorrent is called, by a cron without our PATH."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-m", "ogtorrent"]
    return [shutil.which(sys.argv[0]) or str(called.absolute())]


@opengnsys.command(
    hidden=True,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@_PREFIX
@click.option("--original", type=click.Path(path_type=Path))
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(prefix: Path, original: Path | None, name: str, arguments: tuple[str, ...]) -> None:
    """What our wrappers call: the command of OpenGnsys that is called `name`, with its arguments."""
    if name == "updateCache":
        from ogtorrent.cli.opengnsys_seat import update_cache

        sys.exit(update_cache(list(arguments), original))
    from ogtorrent.cli.opengnsys_repository import COMMANDS

    if name not in COMMANDS:
        raise click.UsageError(words("there is no command {name!r}", name=name))
    sys.exit(COMMANDS[name](prefix, list(arguments)))
