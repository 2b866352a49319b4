"""`ogtorrent repo`: the trees of a repository, in their administrator's hands."""

from __future__ import annotations

import click

from ogtorrent.cli import inventory
from ogtorrent.words import words


@click.group(help=words("The tree of a repository: make it, look after it, move it."))
def repo() -> None:
    pass


repo.add_command(inventory.group)
repo.add_command(inventory.client)
