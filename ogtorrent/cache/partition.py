"""The cache of this PC: the partition labelled CACHE, or a directory that was named."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from ogtorrent.errors import NoCache, NotWritable
from ogtorrent.layout import seeder_home, seeder_place
from ogtorrent.mounts import table
from ogtorrent.words import words

LABEL = "CACHE"


def find(named: Path | None) -> Path:
    """The cache's directory, ready to be written. Raises NoCache, NotWritable."""
    if named is not None:
        if not named.is_dir():
            raise NoCache(
                words("{named} is no directory", named=named),
                words("Make it, or name another one with --cache."),
            )
        cache = named.absolute()
    else:
        cache = mounted()
    try:
        str(cache).encode()
    except UnicodeEncodeError:
        raise NoCache(
            words("the name {name!r} is not UTF-8", name=os.fsencode(cache)),
            words("Mount the cache elsewhere, or name another one with --cache."),
        ) from None
    try:
        seeder_home(cache).mkdir(mode=0o700, exist_ok=True)
        seeder_place(cache).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable.of(cache, error) from error
    if not os.access(cache, os.W_OK):
        read_only = os.statvfs(cache).f_flag & os.ST_RDONLY
        raise NotWritable(cache, os.strerror(errno.EROFS if read_only else errno.EACCES))
    return cache


def room(cache: Path) -> tuple[int, int]:
    """Free bytes of a cache, and all. Raises OSError."""
    told = os.statvfs(cache)
    # The blocks that a file system keeps for root are root's to fill.
    free = told.f_bfree if os.geteuid() == 0 else told.f_bavail
    return free * told.f_frsize, told.f_blocks * told.f_frsize


def mounted() -> Path:
    device = _device()
    if device is None:
        raise NoCache(
            words("no partition has the label {label}", label=LABEL),
            words("Name a directory with --cache DIR, or label a partition: e2label /dev/sdXN CACHE."),
        )
    number = device.stat().st_rdev
    for one in table.read():
        if one.device == number and one.whole:
            return one.at
    raise NoCache(
        words("the partition {device} has the label {label} but is not mounted", device=device, label=LABEL),
        words(
            "Mount it: mkdir -p {place} && mount {device} {place}.",
            place=f"/mnt/{device.name}",
            device=device,
        ),
    )


def _device() -> Path | None:
    """The block device with the label; udev knows it, or blkid reads it from the disks (as root)."""
    by_label = Path("/dev/disk/by-label", LABEL)
    if by_label.exists():
        return by_label.resolve()
    for blkid in ("/sbin/blkid", "/usr/sbin/blkid", "blkid"):
        try:
            found = subprocess.run([blkid, "-L", LABEL], capture_output=True, text=True, timeout=20)
        except FileNotFoundError:
            continue
        except subprocess.TimeoutExpired as error:
            raise NoCache(
                words("blkid does not come back; a disk may be failing"),
                words("Name the cache with --cache DIR."),
            ) from error
        return Path(found.stdout.strip()) if found.returncode == 0 else None
    raise NoCache(
        words("the program blkid is missing"),
        words("Install util-linux, or name the cache with --cache DIR."),
    )
