"""GRUB for BIOS: 440 bytes in the disk's boot record, its core in the gap or the BIOS boot partition."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from ogtorrent.errors import NotWritable
from ogtorrent.files import write_whole
from ogtorrent.offline.disk import SECTOR, Disk
from ogtorrent.offline.grub import BIOS, LIBRARY
from ogtorrent.offline.programs import done
from ogtorrent.words import marked

CODE = 440  # bytes of a boot record that are code; a disk's number and its table come after them
BEFORE = "mbr.before"  # the boot record that was there before ours
CORE, BOOT = "core.img", "boot.img"  # as grub-bios-setup wants them called
_KERNEL_SECTOR = 0x5C  # where GRUB's boot.img says which sector its core begins at


class Starts(StrEnum):
    """What a boot record starts, from its code."""

    NOTHING = marked("nothing")
    GRUB = marked("another GRUB")
    WINDOWS = marked("Windows")
    ANOTHER = marked("another system")


def starts(code: bytes) -> Starts:
    if not any(code[:CODE]):
        return Starts.NOTHING
    if b"GRUB \0" in code:
        return Starts.GRUB
    if b"operating system" in code:  # `Missing operating system`
        return Starts.WINDOWS
    return Starts.ANOTHER


def boot_record(disk: Disk) -> bytes:
    with _opened(disk) as file:
        return file.read(SECTOR)


def digest(disk: Disk, core: int) -> str:
    """SHA-256 of what a BIOS would run: the boot record's code, and `core` bytes of what it leads to."""
    with _opened(disk) as file:
        code = file.read(SECTOR)[:CODE]
        file.seek(int.from_bytes(code[_KERNEL_SECTOR : _KERNEL_SECTOR + 8], "little") * SECTOR)
        return hashlib.sha256(code + file.read(core)).hexdigest()


def _opened(disk: Disk) -> BinaryIO:
    try:
        return disk.device.open("rb")
    except OSError as error:
        raise NotWritable.of(disk.device, error) from error


def keep_before(disk: Disk, home: Path) -> None:
    """So that it can be put back, and started from our menu."""
    if starts(record := boot_record(disk)) is not Starts.NOTHING:
        write_whole(home / BEFORE, record)


def install(disk: Disk, home: Path, core: bytes) -> None:
    """GRUB's own program places the core, then the boot record. Raises NotWritable, MissingProgram."""
    write_whole(home / BOOT, (LIBRARY / BIOS / BOOT).read_bytes())
    write_whole(home / CORE, core)
    done(disk.device, "grub-bios-setup", "--directory", home, disk.device)
