"""A file system on a block device of this machine, as something to mount."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import NotMountable
from ogtorrent.mounts.blocks import Block
from ogtorrent.mounts.table import Mounted
from ogtorrent.words import words

# Nothing of a disk that somebody brought, or that others fill, is to become root's.
GUARDED = "nosuid,nodev"
_FOREIGN = ("ntfs", "vfat", "exfat", "hfsplus", "apfs", "iso9660", "udf", "squashfs")
_LONGEST = 300  # letters of what mount(8) says


@dataclass(frozen=True)
class Device:
    """`error` is how its kind is refused; `options` of mount(8) besides ro or rw."""

    block: Block
    error: type[NotMountable]
    options: str = GUARDED
    takes_foreign: bool = True  # file systems that keep no owners, modes and links

    @property
    def source(self) -> str:
        return str(self.block.device)

    def is_it(self, mounted: Mounted) -> bool:
        try:
            return mounted.device == self.block.number and mounted.whole
        except OSError:
            return False

    def mount(self, at: Path, write: bool) -> None:
        """Raises MissingProgram, or as `refusal`."""
        block = self.block
        if not block.is_file_system:
            raise self._unformatted()
        if block.kind in _FOREIGN and not self.takes_foreign:
            raise self.refusal(
                words("it has the file system {kind}, which cannot be a cache's", kind=block.kind),
                _format(block.device),
            )
        mode = "rw" if write else "ro"
        self._run("-o", f"{mode},{self.options}", str(block.device), str(at))

    def let_write(self, at: Path) -> None:
        """Where it is mounted to be read only. Raises as `refusal`."""
        self._run("-o", f"remount,rw,{self.options}", str(at))

    def refusal(self, why: str, advice: str) -> NotMountable:
        return self.error(self.source, why, advice)

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            ["mount", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
        )
        if done.returncode:
            raise self._failed(done.stderr)

    def _unformatted(self) -> NotMountable:
        kind = self.block.kind
        if kind == "crypto_LUKS":
            return self.refusal(words("it is encrypted"), words("Open it with cryptsetup, and name that."))
        if kind:
            return self.refusal(words("it is {kind}, no file system", kind=kind), _format(self.block.device))
        return self.refusal(words("it has no file system"), _format(self.block.device))

    def _failed(self, said: str) -> NotMountable:
        told = " ".join(said.split())[:_LONGEST]
        if "unknown filesystem type" in told:
            return self.refusal(
                words("this system cannot read the file system {kind}", kind=self.block.kind),
                words("Install what reads it, or write the disk with another one."),
            )
        if "needs cleaning" in told or "bad superblock" in told or "can't read superblock" in told:
            return self.refusal(
                words("its file system {kind} is damaged", kind=self.block.kind),
                words("Check it: fsck {device}.", device=self.block.device),
            )
        why = told.removeprefix("mount: ").removesuffix(".") or words("mount failed")
        return self.refusal(why, words("See the system's log: dmesg."))


def _format(device: Path) -> str:
    return words("To make it a cache, and lose what is on it: mkfs.ext4 -L CACHE {device}.", device=device)
