"""Which commands of OpenGnsys stand where, and what takes their place.

below the prefix              runs on
bin/torrent-creator           the repository, by cron each minute
bin/torrent-tracker           the repository, by cron each hour
bin/sendFileMcast             the repository, for `ogAdmRepoAux`
client/scripts/updateCache    the PCs, which have `client` mounted as /opt/opengnsys
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PREFIX = Path("/opt/opengnsys")
KEPT = ".ogtorrent"  # the folder of the originals, beside the commands
MANIFEST = "kept.json"  # in it: what the originals were
MARK = "# ogtorrent stands here for OpenGnsys's own"


class Side(StrEnum):
    REPOSITORY = "repository"
    SEAT = "seat"


@dataclass(frozen=True)
class Place:
    """A command of OpenGnsys below a prefix."""

    prefix: Path
    folder: str
    name: str
    side: Side

    @property
    def path(self) -> Path:
        return self.prefix / self.folder / self.name

    @property
    def kept(self) -> Path:
        """Where its original is kept, under its own name: it finds its log and its own process by that."""
        return self.prefix / self.folder / KEPT / self.name

    @property
    def manifest(self) -> Path:
        return self.kept.with_name(MANIFEST)


def places(prefix: Path) -> tuple[Place, ...]:
    return (
        Place(prefix, "bin", "torrent-creator", Side.REPOSITORY),
        Place(prefix, "bin", "torrent-tracker", Side.REPOSITORY),
        Place(prefix, "bin", "sendFileMcast", Side.REPOSITORY),
        Place(prefix, "client/scripts", "updateCache", Side.SEAT),
    )


def wrapper(place: Place, program: Sequence[str], rooms: Sequence[str]) -> bytes:
    """What stands at a place instead of the original, which it runs where ogtorrent is not to, or cannot.

    `program`: this machine's ogtorrent; a seat has its own. `rooms`: of seats, the groups of OpenGnsys that
    have moved; none are all. It is bash's as the original: another shell loses the exported functions.
    """
    if place.side is Side.SEAT:
        program = ["ogtorrent"]
    first = shlex.quote(program[0])
    conditions = [f"command -v {first} >/dev/null"]
    if place.side is Side.SEAT and rooms:
        names = " ".join(rooms)
        # `group=` of the kernel's command line, which OpenGnsys exports.
        conditions.append(f'[[ " {names} " == *" ${{group:-}} "* && -n "${{group:-}}" ]]')
    run = [*program, "opengnsys", "run"]
    if place.side is Side.REPOSITORY:
        run += ["--prefix", str(place.prefix)]
    # The engine's own function, which the environment brings along: it knows how to find the partition.
    mount = "declare -F ogMountCache >/dev/null && ogMountCache >/dev/null 2>&1"
    return "\n".join(
        [
            "#!/bin/bash",
            f"{MARK} {place.name}, which `ogtorrent opengnsys uninstall` brings back.",
            # It may be called by a link, or as `bash updateCache`.
            'self=$(readlink -f "${BASH_SOURCE[0]}")',
            f'original="${{self%/*}}/{KEPT}/{place.name}"',
            f"if {' && '.join(conditions)}; then",
            *([f"    {mount}"] if place.side is Side.SEAT else []),
            f'    exec {shlex.join(run)} --original "$original" {place.name} "$@"',
            "fi",
            'exec "$original" "$@"',
            "",
        ]
    ).encode()


def is_ours(content: bytes) -> bool:
    lines = content.split(b"\n", 2)
    return len(lines) > 1 and lines[1].startswith(MARK.encode())
