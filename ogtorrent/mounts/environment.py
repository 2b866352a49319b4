"""Where a shell finds images, read from the table of what is mounted: no file remembers it."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.layout import CACHE, REPO, Here, Layout
from ogtorrent.layout.aliases import as_address
from ogtorrent.mounts.table import Mounted

TABLE = tuple[Mounted, ...]


def repository(here: Here, table: TABLE) -> Path | None:
    """Where the repository is mounted; if its address is not known, what was mounted first is it."""
    points = [one.at for one in table]
    proper = here.point(REPO)
    if proper in points:
        return proper
    if here.server or here.repository.mirror.layout is Layout.CURRENT:
        return None
    return next(iter(_others(here, table)), None)


def variables(here: Here, table: TABLE) -> dict[str, Path | None]:
    """By their names; of several of a kind the one that was mounted last. None where there is none."""
    mounted = repository(here, table)
    whole = mounted is not None and here.repository.mirror.layout is Layout.CURRENT
    others = [point for point in _others(here, table) if point != mounted]
    return {
        "REPO": here.repository.path if whole else mounted,
        "CACHE": here.cache,
        "IPSERVIDOR_ALT": others[-1] if others else None,
        "DVD": _last(here, table, "DVD-"),
        "USB": _last(here, table, "USB-"),
    }


def _others(here: Here, table: TABLE) -> list[Path]:
    """Whatever is mounted under an address, in the order of mounting."""
    named = ((one.at, here.mounted_at(one.at)) for one in table)
    return [at for at, place in named if place not in (None, REPO, CACHE) and as_address(at.name)]


def _last(here: Here, table: TABLE, kind: str) -> Path | None:
    points = [one.at for one in table if str(here.mounted_at(one.at)).startswith(kind)]
    return points[-1] if points else None
