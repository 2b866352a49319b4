"""A legacy tree becomes one of the current layout, while a server and its seats go on with it.

    before                          after                           or, of a disk of its own
    opengnsys/images/               opengnsys/images -> repo/images  opengnsys/images/
                                    opengnsys/repo/images/           opengnsys/repo/images -> ../images

No image is copied and none is missing at any instant: the folder and a link change places in one step
(renameat2), so whoever has a file open keeps it, and whoever asks for it under its old path gets it there.
The metainfo's name is `images` before and after: the info-hashes stay. A mount point cannot be renamed, nor
can anything be moved to another file system; there the new place leads to the old one.

What is to be done follows from what stands where, so a move that was cut anywhere goes on from there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ogtorrent.errors import AnotherTree, NotWritable, UnknownRoot
from ogtorrent.files import exchanged, sync_directory
from ogtorrent.layout import Layout, Tree, planned
from ogtorrent.repository import folders
from ogtorrent.words import words


class What(StrEnum):
    """What stands at the old or the new place of the images."""

    NOTHING = "nothing"
    EMPTY = "an empty folder"
    FOLDER = "a folder"
    LINK = "a link to the other place"
    PREPARED = "the link that is to stand at the old place"
    OTHER = "something else"


@dataclass(frozen=True)
class Sight:
    """How far a tree is."""

    old: What
    new: What
    missing: tuple[Path, ...]  # folders of the current layout
    movable: bool  # whether the images can be renamed to the new place


class Step(StrEnum):
    MAKE = "make the folders"
    CLEAR_NEW = "remove the empty folder at the new place"
    CLEAR_OLD = "remove the empty folder at the old place"
    PREPARE = "prepare the link"
    EXCHANGE = "exchange"
    LINK_OLD = "link the old place"
    LINK_NEW = "link the new place"


def plan(sight: Sight) -> tuple[Step, ...]:
    """What is left to do, in order. Pure; the caller has refused what cannot be moved."""
    before: tuple[Step, ...] = (Step.MAKE,) if sight.missing else ()
    match sight.old, sight.new:
        case (What.NOTHING, What.FOLDER | What.EMPTY):  # a move that was cut, or a tree that was never legacy
            return (*before, Step.LINK_OLD)
        case (What.LINK, What.FOLDER | What.EMPTY) | (_, What.LINK):
            return before
        case (What.EMPTY, What.FOLDER):
            return (*before, Step.CLEAR_OLD, Step.LINK_OLD)
        case (_, What.EMPTY):
            before = (*before, Step.CLEAR_NEW)
        case (_, What.PREPARED) if sight.movable:
            return (*before, Step.EXCHANGE)
    return (*before, *((Step.PREPARE, Step.EXCHANGE) if sight.movable else (Step.LINK_NEW,)))


class Move:
    """Of the images at `old`, `.../opengnsys/images`. Raises AnotherTree for another place."""

    def __init__(self, path: Path) -> None:
        path = Path(os.path.abspath(path))  # noqa: PTH100
        for end in (("opengnsys", "repo", "images"), ("opengnsys", "repo")):
            if path.parts[-len(end) :] == end:
                path = Path(*path.parts[: -len(end)], "opengnsys", "images")
        self.old = planned(path, Layout.LEGACY).images.path
        self.tree: Tree = planned(self.old.parent, Layout.CURRENT)
        self.new = self.tree.images.path
        self._busy = False  # the kernel refused to rename it

    def look(self) -> Sight:
        """Raises AnotherTree, UnknownRoot, NotWritable."""
        try:
            return self._look()
        except OSError as error:
            raise NotWritable.of(Path(error.filename or self.old), error) from error

    def _look(self) -> Sight:
        old, new = self._what(self.old), self._what(self.new)
        if old in (What.NOTHING, What.LINK) and new not in (What.FOLDER, What.EMPTY):
            raise UnknownRoot(str(self.old), words("Name the legacy tree that is to be moved."))
        if old is What.OTHER:
            raise AnotherTree(self.old, words("it is no folder"))
        if (old, new) == (What.FOLDER, What.FOLDER) or new is What.OTHER:
            raise AnotherTree(
                self.new, words("both it and {old} hold something; empty one of them first", old=self.old)
            )
        wanted = (self.tree.top, *(root.path for root in self.tree.layers))
        missing = tuple(folder for folder in wanted if not folder.is_dir())
        return Sight(old, new, missing, not self._busy and self._is_movable())

    def run(self) -> Iterator[Step]:
        """Do what is left: each step when it is done. Raises also NotWritable."""
        while steps := plan(self.look()):
            try:
                self._do(steps[0])
            except OSError as error:
                if steps[0] is not Step.EXCHANGE or error.errno not in (
                    errno.EBUSY,
                    errno.EXDEV,
                ):
                    raise NotWritable.of(self.old, error) from error
                self._busy = True
            else:
                yield steps[0]

    def _do(self, step: Step) -> None:
        match step:
            case Step.MAKE:
                for folder in self.look().missing:
                    folders.make(folder, like=self.old if self.old.is_dir() else self.new)
            case Step.CLEAR_NEW:
                self.new.rmdir()
            case Step.CLEAR_OLD:
                self.old.rmdir()
            case Step.PREPARE:
                self.new.symlink_to(self._from_old)
            case Step.EXCHANGE:
                if not exchanged(self.old, self.new):
                    self._replace()
            case Step.LINK_OLD:
                self.old.symlink_to(self._from_old)
            case Step.LINK_NEW:
                self._link_new()
        sync_directory(self.old.parent)
        if self.new.parent.is_dir():
            sync_directory(self.new.parent)

    def _replace(self) -> None:
        """Where two names cannot be exchanged, the old one is missing for an instant."""
        self.new.unlink()
        self.old.rename(self.new)
        self.old.symlink_to(self._from_old)

    def _link_new(self) -> None:
        aside = self.new.with_name(f".{self.new.name}.new")
        aside.unlink(missing_ok=True)
        aside.symlink_to(self._from_new)
        aside.rename(self.new)

    @property
    def _from_old(self) -> Path:
        """The new place as a link at the old one says it: a tree may be mounted elsewhere."""
        return self.new.relative_to(self.old.parent)

    @property
    def _from_new(self) -> Path:
        return self.old if self.tree.top.is_symlink() else Path("..", self.old.name)

    def _what(self, place: Path) -> What:
        if place.is_symlink():
            leads = place.readlink()
            if place == self.old:
                return (
                    What.LINK
                    if self.new.exists() and place.exists() and place.samefile(self.new)
                    else What.OTHER
                )
            if leads == self._from_old:
                return What.PREPARED
            return (
                What.LINK if place.exists() and self.old.exists() and place.samefile(self.old) else What.OTHER
            )
        if place.is_dir():
            return What.FOLDER if any(place.iterdir()) else What.EMPTY
        return What.OTHER if os.path.lexists(place) else What.NOTHING

    def _is_movable(self) -> bool:
        if not self.old.is_dir() or self.old.is_symlink():
            return True
        above = next(folder for folder in self.new.parents if folder.is_dir())
        return not self.old.is_mount() and self.old.stat().st_dev == above.stat().st_dev
