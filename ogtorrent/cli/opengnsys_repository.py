"""OpenGnsys's commands of a repository, as its cron and its services call them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from ogtorrent.cli.opengnsys import program
from ogtorrent.errors import BadSession, OgtorrentError
from ogtorrent.repository.opengnsys import cron
from ogtorrent.repository.writers import survive_lease_breaks
from ogtorrent.words import words


def _creator(prefix: Path, arguments: list[str]) -> int:
    survive_lease_breaks()
    return cron.create(_repository(prefix))


def _tracker(prefix: Path, arguments: list[str]) -> int:
    return cron.track(_repository(prefix), program())


def _sender(prefix: Path, arguments: list[str]) -> int:
    form = words("Format: sendFileMcast FILE SESSION, such as aula1/windows.img {example}", example=_EXAMPLE)
    if arguments == ["help"]:
        click.echo(form)
        return 0
    if len(arguments) != 2:
        click.echo(f"sendFileMcast Error: {form}")
        return 1
    try:
        return cron.send(_repository(prefix), *arguments)
    except OgtorrentError as error:  # the original, too, tells on standard output
        click.echo(f"sendFileMcast Error: {error}")
        return _BAD_SESSION if isinstance(error, BadSession) else error.exit_code


_EXAMPLE = "9000:full-duplex:239.194.17.2:70M:20:120"
_BAD_SESSION = 3  # as `ogAdmRepoAux` knows it

COMMANDS: dict[str, Callable[[Path, list[str]], int]] = {
    "torrent-creator": _creator,
    "torrent-tracker": _tracker,
    "sendFileMcast": _sender,
}


def _repository(prefix: Path) -> cron.Repository:
    """Where the environment names another place than the wrapper's own, that."""
    return cron.Repository(Path(os.environ.get("OPENGNSYS") or prefix))
