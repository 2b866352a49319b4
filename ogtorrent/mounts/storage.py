"""MountStorage: USB disks and DVDs, found or named, each where the layout has its kind."""

from __future__ import annotations

import os
from pathlib import Path

from ogtorrent.errors import DiskNotMountable, NoDisk
from ogtorrent.layout import mounted_disk
from ogtorrent.layout.aliases import REMOVABLE, disk_point
from ogtorrent.mounts import blocks, table
from ogtorrent.mounts.blocks import Block
from ogtorrent.mounts.devices import GUARDED, Device
from ogtorrent.mounts.mounting import Stands, mount
from ogtorrent.words import words

EXT = ("ext2", "ext3", "ext4")


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


def kind_of(block: Block) -> str:
    """As OpenGnsys calls it."""
    return "dvd" if block.is_disc else "usb"


def mount_storage(block: Block, write: bool) -> Stands:
    """To be written where that is wanted and the medium can be.

    Raises DiskNotMountable, NotWritable, MissingProgram.
    """
    # Else an ext4 file system may say of itself that its errors end the kernel.
    options = [GUARDED, "noexec", *(["errors=remount-ro"] if block.kind in EXT else [])]
    device = Device(block, DiskNotMountable, ",".join(options))
    return mount(device, _point(device), write and not block.is_read_only)


def place_of(name: str) -> Path:
    """Where a disk is mounted; a USB disk or DVD that is not yet is mounted now, to be read.

    Raises NoDisk, BadAddress, DiskNotMountable, NotWritable, MissingProgram.
    """
    try:
        return mounted_disk(name)
    except NoDisk:
        if name.lower() not in REMOVABLE:
            raise
        found = [block for block in find() if kind_of(block) == name.lower()]
        if not found:
            raise
    for block in found:
        mount_storage(block, write=False)
    return mounted_disk(name)


def _point(device: Device) -> Path:
    """By its label, unless another disk has that; then, or without one, by what is its own."""
    block, taken = device.block, table.read()
    names = [name for name in (block.label, block.uuid, block.device.name) if name]
    for name in names:
        point = disk_point(kind_of(block), name)
        there = table.seen_at(point, taken)
        if there is None or device.is_it(there) or not there.source.startswith("/dev/"):
            break  # else another disk has that label
    return point
