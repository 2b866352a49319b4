"""MountCache: the cache's partition, found as OpenGnsys finds it (ogFindCache), mounted where it belongs."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from ogtorrent.errors import CacheNotMountable, NoCache, NotWritable
from ogtorrent.layout.aliases import cache_names, cache_point
from ogtorrent.mounts import blocks, table
from ogtorrent.mounts.blocks import Block
from ogtorrent.mounts.devices import Device
from ogtorrent.mounts.mounting import Stands, mount
from ogtorrent.words import words

LABEL = "CACHE"
TYPES = ("0xca", "0xa7")  # of a partition table of MS-DOS; a GPT has the name alone
_BY = Path("/dev/disk")
# live-boot(7): where a system that booted from the cache has it, to be read only.
LIVE = Path("/run/live/medium")


def find() -> Block | None:
    """The cache's partition: by its label, else by the partition's name, else by its type.

    A disk that anybody may plug in is never it. Raises CacheNotMountable where there are several, NoDisk,
    MissingProgram.
    """
    found = _known_to_udev() if os.geteuid() else among(blocks.probe(blocks.fixed()))
    if len(found) > 1:
        names = ", ".join(str(block.device) for block in found)
        raise CacheNotMountable(
            words("The cache"),
            words("several partitions could be it: {names}", names=names),
            words("Give but one of them the label {label}: e2label DEVICE NAME.", label=LABEL),
        )
    return found[0] if found else None


def among(found: Collection[Block]) -> list[Block]:
    """Those that are the cache, by the first sign that any has."""
    signs: tuple[Callable[[Block], bool], ...] = (
        lambda block: block.label == LABEL,
        lambda block: block.part_label == LABEL,
        lambda block: block.part_type in TYPES,
    )
    for sign in signs:
        matching = [block for block in found if sign(block)]
        if matching:
            return matching
    return []


def mounted_at(block: Block) -> table.Mounted | None:
    """Where the whole of it is mounted; of several the first that can be written, else the first."""
    number = block.number
    found = [one for one in table.read() if one.device == number and one.whole]
    return min(found, key=lambda one: one.read_only, default=None)


def mount_cache(own: Collection[str]) -> tuple[Stands, list[Path]]:
    """Mount it, unless it is, and let the other names of a cache lead there.

    `own`: addresses of this PC. Returns the names that lead there. Raises NoCache, CacheNotMountable,
    NoDisk, NotWritable, MissingProgram.
    """
    block = find()
    if block is None:
        raise nowhere()
    device = Device(block, CacheNotMountable, takes_foreign=False)
    there = mounted_at(block)
    if there is not None and there.read_only and there.at == LIVE:
        device.let_write(there.at)
        there = mounted_at(block)
    if there is not None and not there.read_only:  # where its owner wants it
        stands = Stands(there, device.source, new=False)
    else:
        stands = mount(device, cache_point(block.device.name), write=True)
    names = cache_names(own)
    return stands, [name for name in names if name != stands.mounted.at and _leads(name, stands.mounted.at)]


def nowhere() -> NoCache:
    return NoCache(
        words("no partition has the label {label}", label=LABEL),
        words("Name a directory with --cache DIR, or label a partition: e2label /dev/sdXN CACHE."),
    )


def _leads(name: Path, at: Path) -> bool:
    """Let a name lead to the cache; what else stands there stays. Raises NotWritable."""
    try:
        if name.is_symlink():
            if name.readlink() != at:
                aside = name.with_name(f".{name.name}.link")
                aside.unlink(missing_ok=True)
                aside.symlink_to(at)
                aside.replace(name)
            return True
        if name.exists():
            return False
        name.parent.mkdir(parents=True, exist_ok=True)
        name.symlink_to(at)
        return True
    except OSError as error:
        raise NotWritable.of(name, error) from error


def _known_to_udev() -> list[Block]:
    """For whoever may not read disks."""
    for by in ("by-label", "by-partlabel"):
        device = (_BY / by / LABEL).resolve()
        if device.exists() and blocks.stays(device.name):
            return [Block(device, is_file_system=True)]
    return []
