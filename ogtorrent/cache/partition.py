"""The cache of this PC: the partition labelled CACHE, or a directory that was named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ogtorrent.errors import MissingProgram, NoCache, NoDisk, NotMountable, NotWritable
from ogtorrent.layout import seeder_home, seeder_place
from ogtorrent.mounts import cache as partition
from ogtorrent.words import words


def find(named: Path | None, *, written: bool = True) -> Path:
    """The cache's directory, ready to be written unless it is only read. Raises NoCache, NotWritable."""
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
    if not written:
        return cache
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
    try:
        block = partition.find()
    except (NotMountable, NoDisk, MissingProgram) as error:
        raise NoCache(str(error).removesuffix("."), words("Or name a directory with --cache DIR.")) from error
    if block is None:
        raise partition.nowhere()
    try:
        there = partition.mounted_at(block)
    except OSError:  # it was pulled out in this moment
        raise partition.nowhere() from None
    if there is not None:
        return there.at
    raise NoCache(
        words("the partition {device} is not mounted", device=block.device),
        words("Mount it: ogtorrent mount cache."),
    )
