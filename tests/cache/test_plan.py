"""What is to be done, from what is wanted, what stands and what is free."""

import hashlib

import pytest

from ogtorrent.cache.inventory import Cached
from ogtorrent.cache.plan import RESERVE, Check, Fetch, NoSpace, Plan, Room, UpToDate, plan
from ogtorrent.layout import ImagePath
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import File, Metainfo, Stamp

GIB = 2**30


def version(number: int) -> Metainfo:
    pieces = hashlib.sha1(b"%d" % number).digest() * 1024
    stamp = Stamp((number,), "0" * 32, "0" * 32)
    files = [File(("windows.img",), GIB)]
    return metainfo.encode("images", ImagePath.parse("windows.img"), files, 2**20, pieces, stamp, ())


NEW, OLD = version(2), version(1)
NEEDED = GIB + len(NEW.raw) + RESERVE
NOTHING = Cached(False, None, False, 0)
WHOLE = Cached(True, NEW, True, 0)
TOUCHED = Cached(True, NEW, False, 0)
OLDER = Cached(True, OLD, True, 0)
OLDER_TOUCHED = Cached(True, OLD, False, 0)
COPIED_BY_HAND = Cached(True, None, False, 0)
SIDECAR_ALONE = Cached(False, NEW, False, 0)
BEGUN = Cached(False, None, False, GIB // 4)
OLDER_AND_BEGUN = Cached(True, OLD, True, GIB // 4)
TOUCHED_AND_BEGUN = Cached(True, None, False, GIB // 4)


@pytest.mark.parametrize(
    ("cached", "verify", "checked", "expected"),
    [
        (NOTHING, False, False, Fetch(NEEDED)),
        (NOTHING, True, False, Fetch(NEEDED)),
        (WHOLE, False, False, UpToDate()),
        (WHOLE, True, False, Check(mend=True)),
        (TOUCHED, False, False, Check(mend=True)),
        (OLDER, False, False, Fetch(NEEDED)),
        (OLDER, True, False, Fetch(NEEDED)),
        (OLDER_TOUCHED, False, False, Check(mend=False)),
        (COPIED_BY_HAND, False, False, Check(mend=False)),
        (COPIED_BY_HAND, False, True, Fetch(NEEDED)),
        (SIDECAR_ALONE, False, False, Fetch(NEEDED)),
        (BEGUN, False, False, Fetch(NEEDED - GIB // 4)),
        (OLDER_AND_BEGUN, False, False, Fetch(NEEDED - GIB // 4)),
        (TOUCHED_AND_BEGUN, False, False, Fetch(NEEDED - GIB // 4)),
        (Cached(False, None, False, 2 * GIB), False, False, Fetch(len(NEW.raw) + RESERVE)),
    ],
)
def test_what_stands_decides_what_is_done(
    cached: Cached, verify: bool, checked: bool, expected: Plan
) -> None:
    assert plan(NEW, cached, Room(10 * GIB, 20 * GIB), verify, checked) == expected


def test_the_last_byte_that_is_missing_is_too_much() -> None:
    assert plan(NEW, NOTHING, Room(NEEDED, 20 * GIB), False) == Fetch(NEEDED)
    assert plan(NEW, NOTHING, Room(NEEDED - 1, 20 * GIB), False) == NoSpace(NEEDED, NEEDED - 1, 20 * GIB)


@pytest.mark.parametrize("cached", [WHOLE, TOUCHED, COPIED_BY_HAND])
def test_a_full_cache_is_no_matter_where_nothing_need_be_fetched(cached: Cached) -> None:
    assert not isinstance(plan(NEW, cached, Room(0, GIB), False), Fetch | NoSpace)


def test_the_old_image_is_not_counted_as_free_space() -> None:
    assert plan(NEW, OLDER, Room(GIB // 2, 2 * GIB), False) == NoSpace(NEEDED, GIB // 2, 2 * GIB)
