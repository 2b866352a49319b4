"""`ogtorrent repo`: the trees of a repository, in their administrator's hands."""

from __future__ import annotations

import click

from ogtorrent.words import words


@click.group(help=words("The tree of a repository: make it, look after it, move it."))
def repo() -> None:
    pass
