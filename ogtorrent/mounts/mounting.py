"""One way to mount whatever can be mounted: once, where it belongs, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ogtorrent.errors import NotWritable, OgtorrentError
from ogtorrent.mounts.table import Mounted, read, seen_at
from ogtorrent.words import words

LOCK = Path("/run/ogtorrent-mounts.lock")  # two who mount at the same time would both find the point free


class Mountable(Protocol):
    """A repository by one protocol, a cache partition, a removable disk."""

    @property
    def source(self) -> str:
        """As people read it: `10.1.0.1:/opt/opengnsys/images`, `/dev/sdb1`."""

    def is_it(self, mounted: Mounted) -> bool:
        """Whether that is what a line of the table tells of."""

    def mount(self, at: Path, write: bool) -> None:
        """Mount it on a directory that stands. Raises OgtorrentError, one that tells people what to do."""

    def refusal(self, why: str, advice: str) -> OgtorrentError:
        """The error of its kind."""


@dataclass(frozen=True)
class Stands:
    """What is mounted now; `new` unless it was before."""

    mounted: Mounted
    source: str
    new: bool


def mount(what: Mountable, at: Path, write: bool = False, also: tuple[Path, ...] = ()) -> Stands:
    """`also`: where else it may be mounted. Raises OgtorrentError; then nothing is left of it."""
    with _locked(at):
        table = read()
        there = seen_at(at, table)
        if there is not None:
            return Stands(_same(what, there, write), what.source, new=False)
        for one in table:
            if one.at not in also and what.is_it(one):
                raise what.refusal(
                    words("it is mounted already, at {at}", at=one.at),
                    words("Use it there, or unmount it: ogtorrent umount {at}.", at=one.at),
                )
        with _directory(what, at):
            what.mount(at, write)
            there = seen_at(at, read())
            if there is None:  # as where a helper of FUSE died at once
                raise what.refusal(words("it did not stay"), words("See the system's log."))
            return Stands(there, what.source, new=True)


def _same(what: Mountable, there: Mounted, write: bool) -> Mounted:
    """What is mounted already, if that is it. Raises OgtorrentError."""
    if not what.is_it(there):
        raise what.refusal(
            words("{source} is mounted at {at}", source=there.source, at=there.at),
            words("Unmount that first: ogtorrent umount {at}.", at=there.at),
        )
    if write and there.read_only:
        raise what.refusal(
            words("it is mounted at {at} to be read only", at=there.at),
            words("Unmount it first: ogtorrent umount {at}.", at=there.at),
        )
    return there


@contextlib.contextmanager
def _locked(at: Path) -> Iterator[None]:
    """Raises NotWritable for whoever may not mount."""
    try:
        descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise NotWritable(at, words("only root mounts")) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _directory(what: Mountable, at: Path) -> Iterator[None]:
    """An empty directory to mount on; what was made of it, and mounted, goes where that fails."""
    real = Path(os.path.realpath(at))
    if real != at:  # it would be mounted there, and found by nobody
        raise what.refusal(
            words("{at} leads to {real}", at=at, real=real), words("Make it a folder instead of a link.")
        )
    missing = [folder for folder in (at, *at.parents) if not os.path.lexists(folder)]
    try:
        at.mkdir(parents=True, exist_ok=True)
        holds = next(at.iterdir(), None)
    except OSError as error:
        _remove(missing)
        raise NotWritable.of(at, error) from error
    if holds is not None:
        raise what.refusal(
            words("{at} holds files, which it would hide", at=at), words("Move them, or name another layout.")
        )
    try:
        yield
    except BaseException:
        if seen_at(at, read()) is not None:
            subprocess.run(["umount", str(at)], capture_output=True)
        _remove(missing)
        raise


def _remove(folders: list[Path]) -> None:
    """The deepest first; one that somebody uses by now stays, with those above it."""
    try:
        for folder in folders:
            folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EBUSY, errno.ENOENT):
            raise
