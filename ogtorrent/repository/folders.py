"""The folders of a repository's tree: made whole, with their owner and mode, or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ogtorrent.errors import AnotherTree, NotWritable, UnknownRoot
from ogtorrent.files import sync_directory
from ogtorrent.layout import Layout, Tree, recognise
from ogtorrent.words import words


def init(tree: Tree) -> Iterator[tuple[Path, bool]]:
    """Make what is missing of a tree: each of its folders, and whether it was made now.

    A folder belongs to whom the one above it belongs. Raises AnotherTree, NotWritable.
    """
    folders = [tree.images.path, *(root.path for root in tree.layers)]
    try:
        _refuse_another(tree, folders)
    except OSError as error:  # a folder that we may not read
        raise NotWritable.of(tree.top, error) from error
    for folder in folders:
        missing = not folder.is_dir()
        if missing:
            for above in reversed(folder.parents):
                if not above.is_dir():
                    make(above, like=above.parent)
            make(folder, like=folder.parent)
        yield folder, missing


def make(folder: Path, like: Path) -> None:
    """A folder that belongs to the same user and group as `like`, with its mode. Raises NotWritable."""
    aside = folder.with_name(f".{folder.name}.new")
    try:
        of = like.stat()
        aside.mkdir(exist_ok=True)
        if (aside.stat().st_uid, aside.stat().st_gid) != (of.st_uid, of.st_gid) and os.geteuid() == 0:
            os.chown(aside, of.st_uid, of.st_gid)
        # Nobody is to write into a tree of images because everybody may write beside it, as in /tmp.
        aside.chmod(stat.S_IMODE(of.st_mode) & ~(stat.S_IWOTH | stat.S_ISVTX) | stat.S_IRWXU)
        aside.rename(folder)
        sync_directory(folder.parent)
    except OSError as error:
        raise NotWritable.of(folder, error) from error


def _refuse_another(tree: Tree, folders: list[Path]) -> None:
    top = tree.top
    if not os.path.lexists(top):
        return
    try:
        found = recognise(top)
    except UnknownRoot:
        found = None
    if top.is_dir() and found is not None and found == tree.images:
        return  # it stands, perhaps without some of its folders
    strangers = [top.name]
    if top.is_dir():
        known = {"lost+found", *(folder.name for folder in folders if folder.parent == top)}
        names = sorted(path.name for path in top.iterdir())
        strangers = [name for name in names if name not in known and not name.startswith(".")]
    if found is not None and found.mirror.layout not in (tree.images.mirror.layout, Layout.BARE):
        raise AnotherTree(top, words("it is a tree of the {layout} layout", layout=found.mirror.layout))
    if strangers:
        raise AnotherTree(top, words("{name!r} stands there", name=strangers[0]))
