"""Other packages' programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ogtorrent.errors import MissingProgram, NotWritable

_PLACES = ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/lib/grub/i386-pc")
# By the name of a program, the Debian package that has it.
_PACKAGES = {
    "fsfreeze": "util-linux",
    "grub-bios-setup": "grub-pc-bin",
    "grub-mkimage": "grub-common",
    "grub-probe": "grub-common",
    "mcopy": "mtools",
    "mdir": "mtools",
    "mkinitramfs": "initramfs-tools",
    "mksquashfs": "squashfs-tools",
    "mmd": "mtools",
    "mren": "mtools",
    "sh": "dash",
}


def program(name: str) -> str:
    """Where it is. Raises MissingProgram."""
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_PLACES)))
    if path is None:
        raise MissingProgram(name, _PACKAGES[name])
    return path


def run(
    *command: str | Path, more: Mapping[str, str] | None = None, alone: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in English, whatever it ends with; `alone`, it goes on when we are stopped.

    Raises MissingProgram.
    """
    given = [program(str(command[0])), *map(str, command[1:])]
    surroundings = {**os.environ, "LC_ALL": "C.UTF-8", **(more or {})}
    return subprocess.run(
        given, capture_output=True, env=surroundings, stdin=subprocess.DEVNULL, start_new_session=alone
    )


def done(
    place: Path, *command: str | Path, more: Mapping[str, str] | None = None, alone: bool = False
) -> bytes:
    """What a program prints that has to write `place`. Raises MissingProgram, NotWritable."""
    ran = run(*command, more=more, alone=alone)
    if ran.returncode:
        lines = ran.stderr.decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        raise NotWritable(place, f"{command[0]}: {said[-1] if said else ran.returncode}")
    return ran.stdout
