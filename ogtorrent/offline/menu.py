"""GRUB's menu of a cache, from the live system in it and its images. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from ogtorrent.offline.live import Kind, Live
from ogtorrent.words import Words

SECONDS = 10  # to choose in
# What the command line of the booted system says of the image that was chosen.
ARGUMENT = "ogtorrent.image"


def menu(
    live: Live,
    home: PurePosixPath,
    uuid: str,
    images: Sequence[str],
    append: str,
    before_bios: bool,
    before_efi: str,
    words: Words,
) -> str:
    """`append` as a shell would read it; `home` as the partition `uuid` names it.

    `before_bios`, `before_efi`: what the disk started before us is kept, the latter in the EFI system
    partition with that UUID.
    """
    more = [quoted(argument) for argument in shlex.split(append)]
    lines = [
        "# Made by `ogtorrent cache make-offline`, which writes it again.",
        f"set timeout={SECONDS}",
        "set default=0",
    ]
    if before_bios:
        entry = _entry(words("What this disk started before"), f"chainloader {quoted(f'{home}/mbr.before')}")
        lines += ['if [ "$grub_platform" = pc ]; then', entry, "fi"]
    if before_efi:
        entry = _entry(
            words("What this disk started before"),
            f"search --no-floppy --fs-uuid --set=root {before_efi}",
            "chainloader /EFI/BOOT/BEFORE.EFI",
        )
        lines += ['if [ "$grub_platform" = efi ]; then', entry, "fi"]
    lines.append(_live(words("Rescue system"), live, home, uuid, more))
    for image in images:
        chosen = [*more, f"{ARGUMENT}={quote(image)}"]
        lines.append(_live(words("Restore {image}", image=image), live, home, uuid, chosen))
    return "\n".join(lines) + "\n"


def _live(title: str, live: Live, home: PurePosixPath, uuid: str, more: Sequence[str]) -> str:
    folder = f"{home}/{live.folder}"
    kernel = " ".join([f"linux {folder}/{live.kernel} {_arguments(live.kind, folder, uuid)}", *more])
    return _entry(
        title, f"search --no-floppy --fs-uuid --set=root {uuid}", kernel, f"initrd {folder}/{live.initrd}"
    )


def _arguments(kind: Kind, folder: str, uuid: str) -> str:
    match kind:
        case Kind.LIVE_BOOT:  # live-boot(7)
            where = f"live-media=/dev/disk/by-uuid/{uuid} live-media-path={folder}"
            return f"boot=live {where} nopersistence noeject"
        case Kind.OGLIVE:  # its initrd mounts LABEL=CACHE and reads ogclient.sqfs in `oglivedir` of that
            where = f"ogprotocol=local ogstatus=offline oglivedir={folder.lstrip('/')}"
            return f"ro boot=oginit irqpoll acpi=on og2nd=sqfs ogtmpfs=15 ogactiveadmin=false {where}"


def _entry(title: str, *commands: str) -> str:
    return "\n".join([f"menuentry {quoted(title)} {{", *(f"    {command}" for command in commands), "}"])


def quoted(text: str) -> str:
    """One word of GRUB's script, whatever is in it."""
    return "'" + text.replace("'", "'\\''") + "'"
