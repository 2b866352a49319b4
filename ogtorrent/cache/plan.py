"""What is to be done to bring an image into a cache. Pure: from what is wanted, what stands, what is free."""

from __future__ import annotations

from dataclasses import dataclass

from ogtorrent.cache.inventory import Cached
from ogtorrent.swarm.metainfo import Metainfo

RESERVE = 1024 * 1024  # bytes for sidecars and directories, beyond the image


@dataclass(frozen=True)
class UpToDate:
    """It stands there whole."""


@dataclass(frozen=True)
class Check:
    """Read what stands there first: no sidecar describes it, or it is to be verified."""

    mend: bool  # it is this version, damaged at most: fetch what is missing in place


@dataclass(frozen=True)
class Fetch:
    """Fetch it beside whatever stands there; `needed` more bytes of disk."""

    needed: int


@dataclass(frozen=True)
class NoSpace:
    needed: int
    free: int
    total: int


Plan = UpToDate | Check | Fetch | NoSpace


def plan(
    wanted: Metainfo, cached: Cached, free: int, total: int, verify: bool, checked: bool = False
) -> Plan:
    """`free` and `total`: bytes of the cache. `checked`: a Check was done and found another image."""
    same = cached.beside is not None and cached.beside.info_hash == wanted.info_hash
    if same and cached.described:
        return Check(mend=True) if verify else UpToDate()
    # An unfinished download is worth more than a guess. Without one, what stands there undescribed
    # is worth a read: this version, touched since; or one that was copied here by hand, or landed
    # just before the power went.
    if cached.stands and not cached.described and not cached.partial and not checked:
        return Check(mend=same)
    needed = max(0, wanted.size - cached.partial) + len(wanted.raw) + RESERVE
    return Fetch(needed) if needed <= free else NoSpace(needed, free, total)
