"""What is to be done to bring an image into a cache. Pure: from what is wanted, what stands, what is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ogtorrent.cache.inventory import Cached, Holding, Kind
from ogtorrent.cache.options import FAIL, Full, WhenFull
from ogtorrent.layout import Root
from ogtorrent.swarm.forms import same_pieces
from ogtorrent.swarm.metainfo import Metainfo

RESERVE = 1024 * 1024  # bytes for sidecars and directories, beyond the image


@dataclass(frozen=True)
class Room:
    """Bytes of a cache, and what is in them."""

    free: int
    total: int
    holdings: Sequence[Holding] = ()


@dataclass(frozen=True)
class UpToDate:
    """It stands there whole."""


@dataclass(frozen=True)
class OtherForm:
    """It stands there whole, described in the other form of metainfo: the sidecars change, no byte does."""


@dataclass(frozen=True)
class BringBack:
    """It is the previous version: let the two change places."""


@dataclass(frozen=True)
class Adopt:
    """It stands whole in another tree of the cache: move it."""

    root: Root


@dataclass(frozen=True)
class Check:
    """Read what stands there first: no sidecar describes it, or it is to be verified."""

    mend: bool  # it is this version, damaged at most: fetch what is missing in place


@dataclass(frozen=True)
class Fetch:
    """Fetch it beside whatever stands there; `needed` more bytes of disk, once what is evicted is gone."""

    needed: int
    evict: Sequence[Holding] = ()


@dataclass(frozen=True)
class InPlace:
    """Fetch it over the version that stands, which is lost at once; what is evicted goes before."""

    needed: int
    evict: Sequence[Holding] = ()


@dataclass(frozen=True)
class NoSpace:
    needed: int
    free: int
    total: int


Plan = UpToDate | OtherForm | BringBack | Adopt | Check | Fetch | InPlace | NoSpace


def plan(
    wanted: Metainfo,
    cached: Cached,
    room: Room,
    verify: bool,
    checked: bool = False,
    full: Full = FAIL,
    elsewhere: Root | None = None,
) -> Plan:
    """`checked`: a Check was done and found another image. `elsewhere`: the tree that has it whole."""
    same = cached.beside is not None and cached.beside.info_hash == wanted.info_hash
    if same and cached.described:
        return Check(mend=True) if verify else UpToDate()
    if cached.beside is not None and cached.described and same_pieces(cached.beside, wanted):
        return OtherForm()
    if cached.previous is not None and cached.previous.info_hash == wanted.info_hash:
        return BringBack()
    if elsewhere is not None and not cached.stands:
        return Adopt(elsewhere)
    # An unfinished download is worth more than a guess. Without one, what stands there undescribed
    # is worth a read: this version, touched since; or one that was copied here by hand, or landed
    # just before the power went.
    if cached.stands and not cached.described and not cached.partial and not checked:
        return Check(mend=same)
    beyond = len(wanted.raw) + RESERVE
    needed = max(0, wanted.size - cached.partial) + beyond
    evict = to_evict(needed - room.free, room.holdings, full)
    if evict is not None:
        return Fetch(needed, evict)
    if full.action is WhenFull.IN_PLACE and cached.stands and cached.is_directory is wanted.is_directory:
        over = max(0, wanted.size - cached.standing) + beyond
        evict = to_evict(over - room.free - cached.partial, room.holdings, full)
        if evict is not None:
            return InPlace(over, evict)
    return NoSpace(needed, room.free, room.total)


def to_evict(missing: int, holdings: Sequence[Holding], full: Full) -> Sequence[Holding] | None:
    """What has to go for `missing` more bytes, nothing in vain; None where not even all of it would do."""
    chosen: list[Holding] = []
    for holding in sorted(holdings, key=lambda one: (one.kind, one.used, one.place)):
        if missing <= 0:
            break
        if _may_go(holding, full) and holding.size > 0:
            chosen.append(holding)
            missing -= holding.size
    if missing > 0:
        return None
    # A great one that had to go at the end may have made the small ones before it needless.
    for holding in reversed(chosen.copy()):
        if missing + holding.size <= 0:
            chosen.remove(holding)
            missing += holding.size
    return tuple(chosen)


def _may_go(holding: Holding, full: Full) -> bool:
    if holding.kind is Kind.PREVIOUS:
        return True
    if full.action is not WhenFull.EVICT or holding.pinned:
        return False
    return full.evict_seeded or not holding.seeded
