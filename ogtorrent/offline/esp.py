"""GRUB for UEFI: one file in the EFI system partition, where firmware looks that was told of nothing else."""

from __future__ import annotations

import os
import tempfile

from ogtorrent.errors import NotWritable
from ogtorrent.files import write_whole
from ogtorrent.mounts import table
from ogtorrent.offline.disk import Partition
from ogtorrent.offline.programs import done, run

# UEFI 2.10, 3.5.1.1. FAT names of eight letters and three: mtools and firmware agree on those.
FOLDER, LOADER, BEFORE = "EFI/BOOT", "BOOTX64.EFI", "BEFORE.EFI"
_ASIDE = "BOOTX64.NEW"
# No configuration of a user, and no complaint about a partition whose size is none of a floppy's.
_MTOOLS = {"MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1"}


class Esp:
    """Through its mount where it is mounted; else by mtools, which need no mount."""

    def __init__(self, partition: Partition) -> None:
        self.device = partition.device
        wanted = partition.device.stat().st_rdev
        places = [mount.at for mount in table.read() if mount.device == wanted and mount.whole]
        self._mounted = places[0] / FOLDER if places else None

    def read(self, name: str) -> bytes | None:
        """A file of the boot folder. Raises NotWritable, MissingProgram."""
        if self._mounted is not None:
            place = self._mounted / name
            try:
                return place.read_bytes() if place.exists() else None
            except OSError as error:
                raise NotWritable.of(place, error) from error
        ran = run("mcopy", "-n", "-i", self.device, f"::/{FOLDER}/{name}", "-", more=_MTOOLS)
        if ran.returncode == 0:
            return ran.stdout
        said = ran.stderr.decode(errors="replace").strip()
        if "not found" in said:
            return None
        raise NotWritable(self.device, said.split("\n")[-1])

    def write(self, name: str, content: bytes) -> None:
        """Whole or not at all, as far as FAT can. Raises NotWritable, MissingProgram."""
        if self._mounted is not None:
            try:
                self._mounted.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise NotWritable.of(self._mounted, error) from error
            write_whole(self._mounted / name, content)
            return
        for folder in ("EFI", FOLDER):
            if run("mdir", "-b", "-i", self.device, f"::/{folder}", more=_MTOOLS).returncode:
                done(self.device, "mmd", "-i", self.device, f"::/{folder}", more=_MTOOLS)
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            aside = f"::/{FOLDER}/{_ASIDE}"
            done(self.device, "mcopy", "-D", "o", "-i", self.device, file.name, aside, more=_MTOOLS)
        # One program that takes the old name away and gives it to the new file.
        done(self.device, "mren", "-D", "o", "-i", self.device, aside, f"::/{FOLDER}/{name}", more=_MTOOLS)
        with self.device.open("rb") as device:
            os.fsync(device.fileno())
