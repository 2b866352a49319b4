"""GRUB as one image that has in it all that it needs to find its menu."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

from ogtorrent.errors import MissingProgram
from ogtorrent.offline.programs import done

LIBRARY = Path("/usr/lib/grub")
MENU = "grub.cfg"
MARK = "set started_by=ogtorrent"  # by which a boot loader is known as ours
_MODULES = (
    "boot",
    "cat",
    "chain",
    "configfile",
    "echo",
    "ext2",
    "halt",
    "linux",
    "ls",
    "minicmd",
    "normal",
    "part_gpt",
    "part_msdos",
    "reboot",
    "search",
    "search_fs_uuid",
    "sleep",
    "test",
    "xfs",
)
BIOS, UEFI = "i386-pc", "x86_64-efi"
_MORE = {BIOS: ("biosdisk",), UEFI: ("all_video", "fat")}
_PACKAGES = {BIOS: "grub-pc-bin", UEFI: "grub-efi-amd64-bin"}


def image(target: str, uuid: str, home: PurePosixPath) -> bytes:
    """GRUB's core for a target, which reads its menu in `home` of the partition with that UUID.

    The same for the same GRUB, partition and place. Raises MissingProgram, NotWritable.
    """
    check(target)
    # Read before there is a shell: only plain commands, and no quotes.
    begin = f"{MARK}\n{finding(uuid)}\nset prefix=($root){home}\n"
    with tempfile.TemporaryDirectory(prefix="ogtorrent-grub-") as folder:
        config, made = Path(folder, "begin.cfg"), Path(folder, "image")
        config.write_text(begin)
        wanted = (*_MODULES, *_MORE[target])
        done(made, "grub-mkimage", "-O", target, "-o", made, "-c", config, "-p", str(home), *wanted)
        return made.read_bytes()


def finding(uuid: str) -> str:
    """The command that finds the partition of the menu."""
    return f"search.fs_uuid {uuid} root"


def check(target: str) -> None:
    """Raises MissingProgram where GRUB for that target is not installed."""
    if not (LIBRARY / target / "moddep.lst").exists():
        raise MissingProgram(f"GRUB ({target})", _PACKAGES[target])
