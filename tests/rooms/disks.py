"""Real disks: loop devices, file systems on them, and the one partition labelled CACHE."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which

import pytest

from .laboratory import MEBIBYTE

LABEL = "CACHE"
_FICLONE = 0x40049409  # <linux/fs.h>
_LOCK = Path("/run/ogtorrent-tests.CACHE.lock")


def skip_without_disks() -> None:
    """Skip the test where no loop device can be had, or the machine has a CACHE of its own."""
    reason = _why_no_disks()
    if reason is not None:
        pytest.skip(reason)


@functools.cache
def _why_no_disks() -> str | None:
    if os.geteuid() != 0:
        return "a loop device needs root"
    packages = {"losetup": "mount", "blkid": "util-linux", "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs"}
    for program, package in packages.items():
        if which(program) is None:
            return f"{program} is missing: apt-get install {package}"
    refused = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    if refused.returncode:
        return f"this kernel has no loop device: {refused.stderr.strip()}"
    return None


@contextmanager
def loop_device(backing: Path, mebibytes: int) -> Iterator[Path]:
    """A block device of that size, all zeros, in a file that is made for it."""
    with backing.open("xb") as file:
        file.truncate(mebibytes * MEBIBYTE)
    device = _run("losetup", "--find", "--show", str(backing)).strip()
    try:
        yield Path(device)
    finally:
        _run("losetup", "--detach", device)
        backing.unlink()


@contextmanager
def mounted(device: Path, at: Path, *options: str) -> Iterator[Path]:
    """A device mounted on a directory; unmounted also where the test has failed."""
    at.mkdir(parents=True, exist_ok=True)
    _run("mount", *options, str(device), str(at))
    try:
        yield at
    finally:
        try:
            _run("umount", str(at))
        except AssertionError:
            _run("umount", "--lazy", str(at))  # somebody holds it; it goes with him, and the device too
            raise


@contextmanager
def the_label() -> Iterator[None]:
    """Nobody else on this machine has a file system labelled CACHE: the tests that make one take turns."""
    with _LOCK.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if theirs := _labelled_for_good():
            pytest.skip(f"this machine has a partition labelled {LABEL}: {theirs}")
        yield


@contextmanager
def cache_device(folder: Path, mebibytes: int) -> Iterator[Path]:
    """The one device on this machine whose file system is labelled CACHE; it is not mounted."""
    with ExitStack() as stack:
        stack.enter_context(the_label())
        device = stack.enter_context(loop_device(folder / "cache.disk", mebibytes))
        _run("mkfs.ext4", "-q", "-L", LABEL, str(device))
        # Else blkid's own cache would tell for two minutes of a device that is gone. By force, for whoever
        # made a namespace of mounts meanwhile has this one there, too.
        stack.callback(_run, "wipefs", "--quiet", "--force", "--all", str(device))
        yield device


def _labelled_for_good(seconds: float = 5) -> str:
    """The device labelled CACHE; but the kernel may take a moment to let go of the last test's."""
    deadline = time.monotonic() + seconds
    look = ["blkid", "-c", "/dev/null", "-L", LABEL]
    while found := subprocess.run(look, capture_output=True, text=True, check=False).stdout.strip():
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return found


@contextmanager
def snapshots(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A directory whose files can be copied as they are at one instant (`snapshot`)."""
    with loop_device(folder / "snapshots.disk", mebibytes) as device:
        _run("mkfs.xfs", "-q", "-m", "reflink=1", str(device))
        with mounted(device, folder / "snapshots") as place:
            yield place


def snapshot(backing: Path, copy: Path) -> None:
    """What a disk holds at this instant, as if its power was cut: XFS lets no write pass meanwhile.

    What the file system above it has not written yet is not there.
    """
    with backing.open("rb") as there, copy.open("xb") as here:
        fcntl.ioctl(here, _FICLONE, there.fileno())


@contextmanager
def mounted_copy(copy: Path, at: Path) -> Iterator[Path]:
    """The file system of a disk's copy; its journal is replayed."""
    with mounted(copy, at, "-o", "loop") as place:
        yield place


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}"
    return done.stdout
