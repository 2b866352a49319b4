"""The block devices of this machine, and what stands on each: /sys lists them, blkid reads them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import MissingProgram, NoDisk
from ogtorrent.words import words

BLOCKS = Path("/sys/class/block")
DEVICES = Path("/dev")
READ_ONLY = ("iso9660", "udf", "squashfs", "erofs")
BLKID, PACKAGE = "blkid", "util-linux"
_PLACES = ("/sbin", "/usr/sbin", "")  # a PATH may lack those
_PATIENCE = 20  # seconds


@dataclass(frozen=True)
class Block:
    """What blkid found; each text is empty where there is none."""

    device: Path
    label: str = ""
    uuid: str = ""
    kind: str = ""  # of file system, or of what else makes use of it: `crypto_LUKS`, `swap`
    is_file_system: bool = False
    part_label: str = ""
    part_type: str = ""  # `0xca` in a table of MS-DOS, a GUID in a GPT
    table: str = ""  # of a whole disk: `gpt` or `dos`

    @property
    def number(self) -> int:
        """Its `st_rdev`. Raises OSError."""
        return self.device.stat().st_rdev

    @property
    def is_disc(self) -> bool:
        """Whether it is a CD or DVD, or a copy of one."""
        return self.device.name.startswith("sr") or self.kind in ("iso9660", "udf")

    @property
    def is_read_only(self) -> bool:
        return self.is_disc or self.kind in READ_ONLY or _flag(BLOCKS / self.device.name / "ro")


def fixed() -> Iterator[Path]:
    """Every device and partition that has a size and a node and stays in this PC, but the kernel's own."""
    for block in sorted(BLOCKS.iterdir()):
        if not block.name.startswith(("sr", "ram", "zram", "fd")) and _has_size(block) and stays(block.name):
            yield from _node(block)


def removable() -> Iterator[Path]:
    """Every device and partition of a disk that can be pulled out, and drives that hold a disc."""
    for block in sorted(BLOCKS.iterdir()):
        if block.name.startswith(("loop", "ram", "zram", "fd")) or not _has_size(block):
            continue
        if not stays(block.name):
            yield from _node(block)


def stays(name: str) -> bool:
    """Whether a device or partition is of a disk that nobody pulls out or plugs in."""
    real = (BLOCKS / name).resolve()
    disk = real.parent if (real / "partition").exists() else real
    if _flag(disk / "removable") or any(part.startswith("usb") for part in real.parts):
        return False
    if _read(disk / "device" / "type") == "SD":  # a card, which is no removable one to the kernel
        return False
    return all(stays(below.name) for below in (disk / "slaves").glob("*"))  # of LVM, LUKS, RAID


def probe(devices: Iterable[Path]) -> list[Block]:
    """What stands on each, but those with nothing that blkid knows. Raises NoDisk, MissingProgram."""
    # One at a time: blkid gives up at the first that cannot be read.
    return [block for device in devices for block in parse(_exported(device))]


def _exported(device: Path) -> str:
    for place in _PLACES:
        try:
            told = subprocess.run(
                [str(Path(place, BLKID)), "--probe", "--output", "export", str(device)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
            )
        except FileNotFoundError:
            continue
        except subprocess.TimeoutExpired as error:
            raise NoDisk(
                words("blkid does not come back from {device}; it may be failing", device=device),
                words("Name the device or the directory that is meant."),
            ) from error
        return told.stdout
    raise MissingProgram(BLKID, PACKAGE)


def parse(exported: str) -> Iterator[Block]:
    """blkid(8), `--output export`: KEY=value lines, an empty one between devices."""
    for paragraph in exported.split("\n\n"):
        lines = (line.partition("=") for line in paragraph.splitlines())
        said = {key: _plain(value) for key, _, value in lines}
        if "DEVNAME" in said:
            yield Block(
                Path(said["DEVNAME"]),
                said.get("LABEL", ""),
                said.get("UUID", ""),
                said.get("TYPE", ""),
                said.get("USAGE") == "filesystem",
                said.get("PART_ENTRY_NAME", ""),
                said.get("PART_ENTRY_TYPE", ""),
                said.get("PTTYPE", ""),
            )


def _plain(value: str) -> str:
    """Blanks and the like have a backslash before them."""
    return value.replace("\\", "")


def _node(block: Path) -> Iterator[Path]:
    node = DEVICES / block.name.replace("!", "/")
    if node.is_block_device():
        yield node


def _has_size(block: Path) -> bool:
    return _read(block / "size") not in ("", "0")


def _flag(file: Path) -> bool:
    return _read(file) == "1"


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:  # it was pulled out in this moment
        return ""
