"""MountStorage: USB disks and DVDs, found or named, each where the layout has its kind."""

from __future__ import annotations

import os
from pathlib import Path

from ogtorrent.errors import DiskNotMountable, NoDisk
from ogtorrent.layout.aliases import disk_point
from ogtorrent.mounts import blocks, table
from ogtorrent.mounts.blocks import Block
from ogtorrent.mounts.devices import GUARDED, Device
from ogtorrent.mounts.mounting import Stands, mount
from ogtorrent.words import words


def find() -> list[Block]:
    """The file systems of all that can be pulled out. Raises NoDisk, MissingProgram."""
    found = [block for block in blocks.probe(blocks.removable()) if block.is_file_system]
    if not found:
        raise NoDisk(
            words("no USB disk and no DVD with a file system is there"),
            words("Plug one in, or name its device: ogtorrent mount storage /dev/sdXN."),
        )
    return found


def named(device: Path) -> Block:
    """Raises NoDisk, MissingProgram."""
    if not device.is_block_device():
        raise NoDisk(
            words("{device} is no block device", device=device), words("See lsblk for the names of those.")
        )
    if not os.access(device, os.R_OK):
        raise NoDisk(words("{device} cannot be read", device=device), words("Run this as root."))
    found = blocks.probe([device.resolve()])
    return found[0] if found else Block(device.resolve())


def mount_storage(block: Block, write: bool) -> Stands:
    """Raises DiskNotMountable, NotWritable, MissingProgram."""
    device = Device(block, DiskNotMountable, f"{GUARDED},noexec")
    there = next(filter(device.is_it, table.read()), None)
    at = there.at if there is not None else _point(block)
    return mount(device, at, write and not block.is_read_only and (there is None or not there.read_only))


def _point(block: Block) -> Path:
    """By its label, unless another disk has that; then, or without one, by what is its own."""
    kind = "dvd" if block.is_disc else "usb"
    names = [name for name in (block.label, block.uuid, block.device.name) if name]
    points = [disk_point(kind, name) for name in names]
    taken = table.read()
    return next((point for point in points if table.seen_at(point, taken) is None), points[-1])
