"""The inventory on disk, in the repository's own folder, and the directories of groups and clients with it.

A change is written into a journal, carried out and then entered; whoever comes next finishes what was cut:

    inventory.journal, LEAVING     directories that are renamed or removed step aside
    inventory.journal, ARRIVING    they take their new names, or go to `.removed`; new ones are made
    inventory.json                 the change stands
    no journal

Every step may be done twice. So a kill or a power cut leaves the state before or the one after, as soon as
the next command, or the server when it starts, has looked.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from ogtorrent.errors import EntryConflict, NotWritable, OgtorrentError, UnfitInventory
from ogtorrent.files import locked, remove_cut, sync_directory, write_whole
from ogtorrent.layout import Layer, Root, Tree
from ogtorrent.repository.inventory import (
    NOTHING,
    Change,
    Client,
    Group,
    Inventory,
    applied,
    inventory_of,
)
from ogtorrent.words import words

log = logging.getLogger(__name__)

Signature = tuple[int, int, int]
Decide = Callable[[Inventory], Sequence[Change]]


class Stage(StrEnum):
    LEAVING = "leaving"
    ARRIVING = "arriving"


@dataclass(frozen=True)
class Move:
    """The way of one directory: aside first, so that names may go in a circle."""

    layer: Layer
    name: str
    to: str  # its new name; of one that is removed, the name that it is kept by, if it holds anything
    removed: bool


@dataclass(frozen=True)
class Done:
    """A change that was made; `kept` is where the overlays of what was removed are."""

    change: Change
    kept: Path | None


class Kept:
    """The inventory of a tree as it stands now, whoever changed it: the server, or a command beside it."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._file = tree.home / "inventory.json"
        self._journal = tree.home / "inventory.journal"
        self._roots = {Layer(root.mirror.name): root for root in tree.layers}
        self._seen: tuple[Signature | None, Inventory] = None, NOTHING

    @property
    def inventory(self) -> Inventory:
        """One stat where it has not changed since the last look. Of a damaged file, what stood before."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return NOTHING
        except OSError as error:
            log.error("%s", UnfitInventory(self._file, str(error)))
            return self._seen[1]
        signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        if self._seen[0] != signature:
            try:
                self._seen = signature, self.read()
            except UnfitInventory as error:
                log.error("%s", error)
                self._seen = signature, self._seen[1]
        return self._seen[1]

    def finish(self) -> None:
        """Finish what was cut, or moved along with the images. Raises NotWritable, UnfitInventory."""
        if self.tree.home.is_dir() or self._former().is_dir():
            with self._locked():
                self._finish()

    def change(self, decide: Decide, now: datetime) -> list[Done]:
        """Make the changes that `decide` finds right for the inventory as it stands, all or none.

        Blocks while another command makes its own. Raises what `decide` raises, UnfitEntry, EntryConflict,
        UnknownEntry, NotWritable, UnfitInventory.
        """
        with self._locked():
            self._finish()
            old = self.read()
            changes = decide(old)
            new = applied(old, changes)
            moves = self._planned(changes, now)
            if changes:
                self._note(Stage.LEAVING, moves, new)
                self._finish()
            else:
                self._make_directories(new)
        kept = {(move.layer, move.name): self._kept(move) for move in moves if move.removed}
        return [Done(change, self._where(change, kept)) for change in changes]

    def _where(self, change: Change, kept: dict[tuple[Layer, str], Path]) -> Path | None:
        place = kept.get((change.layer, change.before.name)) if change.before else None
        return place if place is not None and os.path.lexists(place) else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The server and commands beside it change the inventory one after the other."""
        try:
            _make(self.tree.home)
            with locked(self.tree.home):
                remove_cut(self._file)
                remove_cut(self._journal)
                self._adopt()
                yield
        except OSError as error:
            raise NotWritable.of(Path(error.filename or self.tree.top), error) from error

    def _former(self) -> Path:
        """Where a tree that was of the legacy layout before it was moved had its inventory."""
        return self.tree.images.path / self.tree.home.name

    def _adopt(self) -> None:
        """Take the inventory of the tree that this one was; then each of its names gets a directory."""
        former = self._former() / self._file.name
        if former.exists() and not self._file.exists() and not self._journal.exists():
            self._note(Stage.ARRIVING, [], _read(former))
            former.unlink()

    def read(self) -> Inventory:
        """As it stands in the file. Raises UnfitInventory."""
        return _read(self._file)

    def _planned(self, changes: Sequence[Change], now: datetime) -> list[Move]:
        """The ways of the directories that stand. Raises EntryConflict where one is in the way."""
        moves = []
        for change in changes:
            root, before, after = self._roots.get(change.layer), change.before, change.after
            if root is None or before is None or not (after is None or change.renamed):
                continue
            if os.path.lexists(root.path / before.name):
                to = after.name if after is not None else _free(root.removed, before.name, now)
                moves.append(Move(change.layer, before.name, to, removed=after is None))
        leaving = {(move.layer, move.name) for move in moves}
        arriving = {(move.layer, move.to) for move in moves if not move.removed}
        for change in changes:
            root, after = self._roots.get(change.layer), change.after
            if root is not None and after is not None and (change.layer, after.name) not in leaving:
                _check_free(root, change.layer, after.name, (change.layer, after.name) in arriving)
        return moves

    def _note(self, stage: Stage, moves: Sequence[Move], inventory: Inventory) -> None:
        told = {"stage": stage, "moves": [asdict(move) for move in moves], "inventory": _told(inventory)}
        write_whole(self._journal, json.dumps(told).encode())

    def _finish(self) -> None:
        """Carry out the journal, if there is one, from whichever step it was cut at."""
        try:
            told = json.loads(self._journal.read_bytes())
            stage = Stage(told["stage"])
            moves = [Move(**{**fields, "layer": Layer(fields["layer"])}) for fields in told["moves"]]
            inventory = _parsed(told["inventory"])
        except FileNotFoundError:
            return
        except (ValueError, TypeError, LookupError, AttributeError, OgtorrentError) as error:
            raise UnfitInventory(self._journal, str(error)) from error
        if stage is Stage.LEAVING:
            try:
                self._leave(moves)
                self._note(Stage.ARRIVING, moves, inventory)
            except (OSError, NotWritable):
                self._return(moves)
                raise
        self._arrive(moves)
        self._make_directories(inventory)
        write_whole(self._file, json.dumps(_told(inventory), indent=1).encode())
        self._forget_journal()

    def _leave(self, moves: Sequence[Move]) -> None:
        for move in moves:
            place, aside = self._roots[move.layer].path / move.name, self._aside(move)
            if os.path.lexists(place) and not os.path.lexists(aside):
                place.rename(aside)
        self._sync()

    def _return(self, moves: Sequence[Move]) -> None:
        """Undo `_leave`: the disk refuses the change."""
        for move in moves:
            place, aside = self._roots[move.layer].path / move.name, self._aside(move)
            if os.path.lexists(aside) and not os.path.lexists(place):
                aside.rename(place)
        self._forget_journal()

    def _arrive(self, moves: Sequence[Move]) -> None:
        for move in moves:
            aside, root = self._aside(move), self._roots[move.layer]
            if not os.path.lexists(aside):
                continue
            if not move.removed:
                _removed_empty(root.path / move.to)
                aside.rename(root.path / move.to)
                log.info("%s: %r is called %r now", move.layer, move.name, move.to)
            elif not _removed_empty(aside):
                _make(root.removed)
                aside.rename(self._kept(move))
                log.info(
                    "%s: %r was removed, see %s for its overlays", move.layer, move.name, self._kept(move)
                )
        self._sync()

    def _make_directories(self, inventory: Inventory) -> None:
        """Every group and client has one, whoever took it away."""
        for layer, root in self._roots.items():
            _make(root.path)
            standing = {place.name for place in root.path.iterdir()}
            for name in inventory.names(layer):
                if name not in standing:
                    _make(root.path / name)

    def _aside(self, move: Move) -> Path:
        return self._roots[move.layer].stepped_aside(move.name)

    def _kept(self, move: Move) -> Path:
        return self._roots[move.layer].removed / move.to

    def _forget_journal(self) -> None:
        self._journal.unlink(missing_ok=True)
        sync_directory(self.tree.home)

    def _sync(self) -> None:
        for root in self._roots.values():
            for directory in (root.path, root.removed):
                with suppress(FileNotFoundError):
                    sync_directory(directory)


def _check_free(root: Root, layer: Layer, name: str, for_another: bool) -> None:
    """A directory that stands already is that of who gets its name, but two are not made one."""
    place = root.path / name
    if not os.path.lexists(place):
        return
    if not place.is_dir() or (for_another and (place.is_symlink() or any(place.iterdir()))):
        raise EntryConflict(
            layer,
            name,
            words("{path} stands already and is nobody's", path=place),
            words("Look what is in it and move it away."),
        )


def _free(directory: Path, name: str, now: datetime) -> str:
    stamped = f"{name}.{now:%Y%m%d-%H%M%S}"
    taken = (f"{stamped}-{number}" for number in range(2, 10_000))
    return next(one for one in (stamped, *taken) if not os.path.lexists(directory / one))


def _removed_empty(directory: Path) -> bool:
    """Take away a directory, if it is one and nothing is in it."""
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT):
            return False
        raise
    return True


def _make(directory: Path) -> None:
    """A directory, unless it stands; made by root, it belongs to whom the one above belongs to."""
    try:
        directory.mkdir()
    except FileExistsError:
        return
    if os.geteuid() == 0:
        above = directory.parent.stat()
        os.chown(directory, above.st_uid, above.st_gid)


def _told(inventory: Inventory) -> dict[str, Any]:
    return {
        "groups": sorted(inventory.groups),
        "group_ids": dict(sorted(inventory.group_ids.items())),
        "clients": [asdict(client) for client in inventory.every_client()],
    }


def _read(file: Path) -> Inventory:
    try:
        return _parsed(json.loads(file.read_bytes()))
    except FileNotFoundError:
        return NOTHING
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OgtorrentError) as error:
        raise UnfitInventory(file, str(error)) from error


def _parsed(fields: dict[str, Any]) -> Inventory:
    ids = fields.get("group_ids", {})
    groups = [Group(name, ids.get(name, "")) for name in fields["groups"]]
    return inventory_of(groups, [Client(**client) for client in fields["clients"]])
