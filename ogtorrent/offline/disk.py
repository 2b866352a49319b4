"""The disk that a cache stands on, as far as it matters to what boots from it. Read from sysfs and blkid."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ogtorrent.errors import NoCache, NotWritable
from ogtorrent.mounts import blocks, table
from ogtorrent.mounts.blocks import Block
from ogtorrent.offline.programs import run
from ogtorrent.words import words

SECTOR = 512  # bytes; sysfs and blkid count in these whatever the disk does
ESP_TYPES = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef")  # UEFI 2.10, 5.3.3 and 5.2.2
BIOS_BOOT_TYPE = "21686148-6449-6e6f-744e-656564454649"  # GRUB manual, 3.4
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")  # GRUB and the kernel's command line take it as it is
BOOTABLE = ("ext2", "ext3", "ext4", "xfs")  # that GRUB and live-boot read


@dataclass(frozen=True)
class Partition:
    block: Block
    start: int  # sectors
    size: int  # sectors

    @property
    def device(self) -> Path:
        return self.block.device

    @property
    def is_esp(self) -> bool:
        return self.block.part_type in ESP_TYPES and self.block.kind == "vfat"


@dataclass(frozen=True)
class Disk:
    """`inside` is the cache's directory in its partition, `/` where it is all of it."""

    device: Path
    table: str  # `gpt` or `dos`
    partitions: tuple[Partition, ...]
    cache: Partition
    inside: PurePosixPath

    @property
    def esp(self) -> Partition | None:
        return next((one for one in self.partitions if one.is_esp), None)

    @property
    def embedding(self) -> int:
        """Bytes for GRUB's core: of the BIOS boot partition or before the first one. 0: there are none."""
        if self.table == "gpt":
            sizes = [one.size for one in self.partitions if one.block.part_type == BIOS_BOOT_TYPE]
            return max(sizes, default=0) * SECTOR
        return max(0, min(one.start for one in self.partitions) - 1) * SECTOR


def of(cache: Path) -> Disk:
    """Raises NoCache where nothing could boot from there, NotWritable, NoDisk, MissingProgram."""
    there = cache.resolve()
    above = [mount for mount in table.read() if there.is_relative_to(mount.at)]
    mount = max(enumerate(above), key=lambda pair: (len(pair[1].at.parts), pair[0]))[1]
    system = Path("/sys/dev/block", f"{os.major(mount.device)}:{os.minor(mount.device)}")
    if not (system / "partition").exists():
        raise NoCache(
            words("{cache} is not on a partition of a disk", cache=cache),
            words("Only a partition can be booted from."),
        )
    system = system.resolve()
    whole = system.parent
    siblings = [path for path in whole.iterdir() if (path / "partition").exists()]
    partitions = sorted(map(_partition, siblings), key=lambda one: one.start)
    own = next(one for one in partitions if one.device.name == _device(system).name)
    inside = PurePosixPath(mount.root, there.relative_to(mount.at))
    if not _PLAIN.fullmatch(str(inside)):
        raise NoCache(
            words("GRUB cannot be told of {inside!r} in {device}", inside=str(inside), device=own.device),
            words("Call its folders by letters without accents, digits, '.', '-' and '_'."),
        )
    return Disk(_device(whole), _probed(_device(whole)).table, tuple(partitions), own, inside)


def check_readable(partition: Partition) -> None:
    """A file system that is newer than GRUB may have features that it does not know. Raises NoCache."""
    probed = run("grub-probe", "--target=fs", "--device", partition.device)
    if partition.block.kind in BOOTABLE and probed.returncode == 0:
        return
    raise NoCache(
        words("GRUB cannot read its file system, {kind}", kind=partition.block.kind),
        words("Make it anew, ext4 or XFS, with the tools of this system, or use a newer GRUB."),
    )


def _device(system: Path) -> Path:
    """sysfs writes `!` where the name below /dev has a slash."""
    return Path("/dev", system.name.replace("!", "/"))


def _partition(system: Path) -> Partition:
    start, size = (int((system / name).read_text()) for name in ("start", "size"))
    return Partition(_probed(_device(system)), start, size)


def _probed(device: Path) -> Block:
    if not os.access(device, os.R_OK):
        raise NotWritable(device, words("only root may look at it"))
    return next(iter(blocks.probe([device])), Block(device))
