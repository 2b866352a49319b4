"""`ogtorrent swarm`: what a repository's tracker sees, in the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time

import click
from rich.console import Console
from rich.live import Live

from ogtorrent.cli import status as picture
from ogtorrent.cli.status import Frame, Picture
from ogtorrent.errors import NotARepository, RepositoryUnreachable
from ogtorrent.fetch.server import Server
from ogtorrent.words import words

EVERY = 1.0  # seconds between two looks
LARGEST_ANSWER = 64 * 1024 * 1024  # bytes


@click.group(help=words("The swarms of a repository."))
def swarm() -> None:
    pass


@swarm.command(
    help=words(
        "Show how the images of the repository SERVER[:PORT] reach their seats, live, until Ctrl-C.\n\n"
        "Without SERVER, that of this machine."
    )
)
@click.argument("server", default="127.0.0.1", metavar=words("[SERVER]"))
@click.option("--once", is_flag=True, help=words("Print one picture and end, as where there is no terminal."))
def status(server: str, once: bool) -> None:
    repository = Server.parse(server)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a PC may have a name that this terminal has no letters for
    console = Console(highlight=False)
    seen = _ask(repository)
    if once or not console.is_terminal:
        console.print(_frame(console, once=True).draw(str(repository), seen, time.time()))
        return
    with contextlib.suppress(KeyboardInterrupt):
        _watch(repository, seen, console)


def _watch(repository: Server, seen: Picture, console: Console) -> None:
    warning = ""
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            shown = _frame(console).draw(str(repository), seen, time.time(), warning)
            live.update(shown, refresh=True)
            time.sleep(EVERY)
            try:
                seen, warning = _ask(repository), ""
            except (RepositoryUnreachable, NotARepository) as error:
                warning = str(error)


def _frame(console: Console, once: bool = False) -> Frame:
    height = console.height - once if console.is_terminal else None  # the prompt takes a line
    return Frame(words, console.width, height, console.options.ascii_only)


def _ask(repository: Server) -> Picture:
    """Raises RepositoryUnreachable, NotARepository."""
    code, body = repository.get("/api/v1/swarms", LARGEST_ANSWER)
    try:
        answer = json.loads(body)
        if code == 503 and isinstance(answer, dict):  # a tracker whose store is down
            raise RepositoryUnreachable(str(repository), picture.plain(answer.get("error")))
        if code == 200:
            return picture.read(answer)
    except (ValueError, RecursionError):
        pass
    raise NotARepository(str(repository), words("it tells nothing of swarms (HTTP {status})", status=code))
