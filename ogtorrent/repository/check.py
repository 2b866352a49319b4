"""What is wrong with a tree, and how it is mended. Pure: from what was seen, and when; `survey` looks."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ogtorrent.layout import ImagePath, Layout, Root, Sidecar, Tree
from ogtorrent.repository.inventory import NOTHING, Inventory

# Seconds after which a file counts: a server or a console at work leaves what is not finished yet.
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Fault(StrEnum):
    STRAY = "stray sidecar"
    NO_IMAGE = "torrent without image"
    NO_TORRENT = "image without torrent"
    STALE = "torrent of another version"
    UNFIT = "unfit image"
    UNNAMEABLE = "name that is not UTF-8"
    LOCKED = "old lock"
    ASIDE = "left aside"
    UNFINISHED = "unfinished download"
    OWNER = "wrong owner"
    UNREADABLE = "not readable"
    WORLD_WRITABLE = "world-writable"
    NO_FOLDER = "missing folder"
    UNKNOWN = "unknown to the console"
    NOT_THERE = "known to the console alone"
    INVENTORY = "inventory"


@dataclass(frozen=True)
class Remove:
    path: Path


@dataclass(frozen=True)
class Withdraw:
    """The sidecars that we wrote, if they still do not describe the image."""

    root: Root
    image: ImagePath


@dataclass(frozen=True)
class Own:
    """Give it the owner and group of the tree."""

    path: Path
    top: Path


@dataclass(frozen=True)
class Allow:
    path: Path
    more: int = 0
    less: int = 0


@dataclass(frozen=True)
class Make:
    """A folder that belongs to whom the one above it belongs."""

    path: Path


@dataclass(frozen=True)
class KeepInStep:
    """Have the inventory make its directories, and nobody change it meanwhile."""

    tree: Tree


Mend = Remove | Withdraw | Own | Allow | Make | KeepInStep


@dataclass(frozen=True)
class Finding:
    fault: Fault
    path: Path
    mend: Mend | None = None
    detail: str = ""


@dataclass(frozen=True)
class Entry:
    """A file or folder as it stands."""

    path: Path
    uid: int
    gid: int
    mode: int
    mtime: float
    ours: bool = False  # of a sidecar: it is written as we write it

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


@dataclass(frozen=True)
class Seen:
    """What stands below one root; nothing of what is mounted there, or in a hidden folder.

    Of groups and clients nothing inside an overlay.
    """

    root: Root
    top: Entry | None  # None where there is no such folder
    entries: tuple[Entry, ...] = ()
    images: frozenset[ImagePath] = frozenset()
    described: frozenset[ImagePath] = frozenset()  # by the `.torrent` beside them
    unfit: Mapping[ImagePath, str] = field(default_factory=dict)
    unnameable: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Sight:
    tree: Tree
    roots: tuple[Seen, ...]  # the images, and what groups and clients lay over them
    inventory: Inventory = NOTHING
    damaged: str = ""  # why the inventory cannot be read


def examine(sight: Sight, now: float) -> list[Finding]:
    """`now` in Unix seconds."""
    found = []
    for seen in sight.roots:
        if seen.top is None:
            found.append(Finding(Fault.NO_FOLDER, seen.root.path, Make(seen.root.path)))
            continue
        found += _files(seen, now)
        found += _rights(seen)
    if sight.damaged:
        found.append(Finding(Fault.INVENTORY, sight.tree.home, detail=sight.damaged))
    elif sight.inventory is not NOTHING:
        found += _overlays(sight)
    return found


def _files(seen: Seen, now: float) -> Iterator[Finding]:
    root = seen.root
    for path in seen.unnameable:
        yield Finding(Fault.UNNAMEABLE, path)
    for image, why in seen.unfit.items():
        yield Finding(Fault.UNFIT, root.image(image), detail=why)
    standing = {entry.path for entry in seen.entries}
    images = {root.image(image): image for image in seen.images}
    for entry in seen.entries:
        if any(above in images for above in entry.path.parents):
            continue  # of a directory image, whatever it is called
        age = now - entry.mtime
        if entry.path in images:
            image = images[entry.path]
            torrent = root.sidecar(image, Sidecar.TORRENT)
            if (
                image not in seen.described
                and image not in seen.unfit
                and age > MINUTE
                and torrent not in standing
            ):
                yield Finding(Fault.NO_TORRENT, entry.path)
        elif not entry.is_folder:
            yield from _beside(seen, entry, age, standing, images)


def _beside(
    seen: Seen, entry: Entry, age: float, standing: set[Path], images: Mapping[Path, ImagePath]
) -> Iterator[Finding]:
    path = entry.path
    if path.name.startswith("."):
        yield from _hidden(path, age)
        return
    # `.full.sum` ends in `.sum`, too: the longest ending is the one.
    kind = max((kind for kind in Sidecar if path.name.endswith(kind)), key=len, default=None)
    if kind is None or age < MINUTE:
        return
    place = path.with_name(path.name.removesuffix(kind))
    if kind is Sidecar.LOCK:
        if age > DAY:
            yield Finding(Fault.LOCKED, path)
    elif place not in standing:
        fault = Fault.NO_IMAGE if kind is Sidecar.TORRENT else Fault.STRAY
        # In a bare folder somebody keeps torrents and sums of what never was an image.
        if entry.ours or seen.root.mirror.layout is not Layout.BARE:
            yield Finding(fault, path, Remove(path) if entry.ours else None)
    elif kind is Sidecar.TORRENT:
        image = images.get(place)
        if image is not None and image not in seen.described and image not in seen.unfit:
            yield Finding(Fault.STALE, path, Withdraw(seen.root, image) if entry.ours else None)


def _hidden(path: Path, age: float) -> Iterator[Finding]:
    """Of what somebody else may hide in a tree we know nothing."""
    stem, _, number = path.name.removesuffix(".tmp").rpartition(".")
    if path.name.endswith(".tmp") and number.isdecimal() and stem.strip("."):  # as files.write_whole names it
        if age > HOUR:
            yield Finding(Fault.ASIDE, path, Remove(path))
    elif path.name.endswith((".part", ".part.torrent", ".safe", ".old")) and age > DAY:
        yield Finding(Fault.UNFINISHED, path)


def _rights(seen: Seen) -> Iterator[Finding]:
    """The owner of the tree's folder reads and writes; whoever may read that folder reads all of it."""
    assert seen.top is not None
    top = seen.top
    ways = {above for image in seen.images for above in seen.root.image(image).parents}
    for entry in (top, *seen.entries):
        if stat.S_ISLNK(entry.mode) or entry.path.name.startswith("."):
            continue
        if seen.root.layer is not None and not (_is_owner(seen, entry) or entry.path in ways):
            continue  # an overlay has the owners and modes of another file system
        if entry.is_folder and not _may(entry, top, stat.S_IWUSR):
            yield Finding(Fault.OWNER, entry.path, Own(entry.path, top.path))
            continue
        wanted = stat.S_IRUSR | (stat.S_IXUSR if entry.is_folder else 0)
        more = _missing(entry, top, wanted)
        if more:
            yield Finding(Fault.UNREADABLE, entry.path, Allow(entry.path, more=more))
        if entry.mode & stat.S_IWOTH:
            yield Finding(Fault.WORLD_WRITABLE, entry.path, Allow(entry.path, less=stat.S_IWOTH))


def _may(entry: Entry, top: Entry, bits: int) -> bool:
    """Whether the tree's owner has these rights, given as those of an owner."""
    if top.uid == 0:
        return True
    if entry.uid == top.uid:
        return entry.mode & bits == bits
    shift = 3 if entry.gid == top.gid else 6
    return entry.mode & bits >> shift == bits >> shift


def _missing(entry: Entry, top: Entry, bits: int) -> int:
    """What an entry's mode lacks for those who may read the tree's own folder; `bits` as for an owner."""
    group, others = bits >> (3 if entry.gid == top.gid else 6), bits >> 6
    wanted = 0 if _may(entry, top, bits) else bits if entry.uid == top.uid else group
    wanted |= group if top.mode & stat.S_IRGRP else 0
    wanted |= others if top.mode & stat.S_IROTH else 0
    return wanted & ~entry.mode


def _overlays(sight: Sight) -> Iterator[Finding]:
    for seen in sight.roots:
        if seen.root.layer is None:
            continue
        known = set(sight.inventory.names(seen.root.layer))
        there = {entry.path.name for entry in seen.entries if _is_owner(seen, entry)}
        for name in sorted(there - known):
            yield Finding(Fault.UNKNOWN, seen.root.path / name)
        for name in sorted(known - there):
            yield Finding(Fault.NOT_THERE, seen.root.path / name, KeepInStep(sight.tree))


def _is_owner(seen: Seen, entry: Entry) -> bool:
    """Whether it is the folder of a group or client."""
    return entry.is_folder and entry.path.parent == seen.root.path and not entry.path.name.startswith(".")
