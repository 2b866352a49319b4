"""The way back: unmounted, or who is in the way."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ogtorrent.errors import MountBusy, NotWritable
from ogtorrent.layout import made_to_mount
from ogtorrent.mounts.table import Mounted, read, seen_at
from ogtorrent.words import words

PATIENCE = 30.0  # seconds; what was written may have to reach a slow disk
LOOPS = Path("/sys/block")


def unmount(at: Path) -> Mounted | None:
    """What was mounted there, if anything was. Never a lazy one. Raises MountBusy, NotWritable."""
    table = read()
    there = seen_at(at, table)
    if there is None:
        return None
    below = tuple(str(one.at) for one in table if at in one.at.parents)
    if below:
        raise MountBusy(at, tuple(words("what is mounted at {at}", at=path) for path in below))
    # Its own look at the path would wait for a server that has gone.
    command = ["umount", "--no-canonicalize", str(at)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise MountBusy(at, (words("a server or disk that does not answer"),)) from None
    if done.returncode != 0:
        if os.geteuid() != 0:
            raise NotWritable(at, words("only root unmounts"))
        raise MountBusy(at, tuple(sorted(set(_users(at)))))
    if made_to_mount(at, there.source):
        with contextlib.suppress(OSError):  # somebody may have put something there before
            at.rmdir()
    return there


def _users(at: Path) -> Iterator[str]:
    """`fuser` by proc(5), which touches nothing that is mounted there."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended
                if any(_is_below(at, path) for path in _used(process)):
                    yield f"{(process / 'comm').read_text(errors='replace').strip()} ({process.name})"
    for file in LOOPS.glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if _is_below(at, file.read_text(errors="replace").strip()):
                yield f"/dev/{file.parts[3]}"


def _used(process: Path) -> Iterator[str]:
    for link in (process / "cwd", process / "root", process / "exe", *(process / "fd").iterdir()):
        with contextlib.suppress(OSError):
            yield os.readlink(link)  # noqa: PTH115 - a Path would make one of `socket:[7]`
    for line in (process / "maps").read_text(errors="replace").split("\n"):
        yield line.partition("/")[1] + line.partition("/")[2]


def _is_below(at: Path, path: str) -> bool:
    return path == str(at) or path.startswith(f"{at}/")
