"""What is to be done, from what is wanted, what stands and what is free."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogtorrent.cache.inventory import Cached, Holding, Kind
from ogtorrent.cache.options import FAIL, Full, WhenFull
from ogtorrent.cache.plan import (
    RESERVE,
    BringBack,
    Check,
    Fetch,
    InPlace,
    NoSpace,
    OtherForm,
    Plan,
    Room,
    UpToDate,
    plan,
    to_evict,
)
from ogtorrent.layout import ImagePath, Layout, Mirror, Root
from ogtorrent.swarm import forms, metainfo
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
OTHER_FORM = Cached(True, forms.in_form(NEW, True), True, GIB // 4, previous=NEW)
OLDER_IN_OTHER_FORM = Cached(True, forms.in_form(OLD, True), True, 0)
TOUCHED = Cached(True, NEW, False, 0)
OLDER = Cached(True, OLD, True, 0)
OLDER_TOUCHED = Cached(True, OLD, False, 0)
COPIED_BY_HAND = Cached(True, None, False, 0)
SIDECAR_ALONE = Cached(False, NEW, False, 0)
BEGUN = Cached(False, None, False, GIB // 4)
OLDER_AND_BEGUN = Cached(True, OLD, True, GIB // 4)
BACK = Cached(True, OLD, True, 0, previous=NEW)
TOUCHED_AND_BEGUN = Cached(True, None, False, GIB // 4)


@pytest.mark.parametrize(
    ("cached", "verify", "checked", "expected"),
    [
        (NOTHING, False, False, Fetch(NEEDED)),
        (NOTHING, True, False, Fetch(NEEDED)),
        (WHOLE, False, False, UpToDate()),
        (OTHER_FORM, False, False, OtherForm()),
        (OTHER_FORM, True, False, OtherForm()),
        (OLDER_IN_OTHER_FORM, False, False, Fetch(NEEDED)),
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
        (BACK, False, False, BringBack()),
        (replace(BACK, previous=OLD), False, False, Fetch(NEEDED)),
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


# Where there is no room

ROOT = Root(Path("/cache/images"), Mirror(Layout.BARE, "images"))
EVICT = Full(WhenFull.EVICT)
IN_PLACE = Full(WhenFull.IN_PLACE)


def holding(name: str, size: int, turn: int = 0, kind: Kind = Kind.IMAGE, **more: bool) -> Holding:
    return Holding(kind, ROOT, ImagePath.parse(name), size, (turn, 0.0), **more)


BEFORE = holding("a.img", GIB, kind=Kind.PREVIOUS)
OLDEST, NEWEST = holding("b.img", GIB, 1), holding("c.img", GIB, 2)
TAKEN, PINNED = holding("d.img", GIB, 0, seeded=True), holding("e.img", GIB, 0, pinned=True)
ALL = (NEWEST, PINNED, TAKEN, OLDEST, BEFORE)


@pytest.mark.parametrize(
    ("missing", "full", "goes"),
    [
        (0, EVICT, ()),
        (1, FAIL, (BEFORE,)),
        (GIB + 1, FAIL, None),
        (GIB + 1, IN_PLACE, None),
        (GIB + 1, EVICT, (BEFORE, OLDEST)),
        (2 * GIB + 1, EVICT, (BEFORE, OLDEST, NEWEST)),
        (3 * GIB + 1, EVICT, None),
        (3 * GIB + 1, Full(WhenFull.EVICT, evict_seeded=True), (BEFORE, TAKEN, OLDEST, NEWEST)),
        (4 * GIB + 1, Full(WhenFull.EVICT, evict_seeded=True), None),
    ],
)
def test_a_previous_version_goes_first_and_an_image_only_when_its_owner_said_so(
    missing: int, full: Full, goes: tuple[Holding, ...] | None
) -> None:
    assert to_evict(missing, ALL, full) == goes
    expected = NoSpace(NEEDED, NEEDED - missing, 20 * GIB) if goes is None else Fetch(NEEDED, goes)
    assert plan(NEW, NOTHING, Room(NEEDED - missing, 20 * GIB, ALL), False, full=full) == expected


def test_small_images_do_not_go_in_vain_before_a_great_one() -> None:
    small, great = holding("small.img", GIB, 1), holding("great.img", 5 * GIB, 2)
    assert to_evict(3 * GIB, [small, great], EVICT) == (great,)


HOLDINGS = st.lists(
    st.builds(
        Holding,
        st.sampled_from(Kind),
        st.just(ROOT),
        st.integers(0, 10**6).map(lambda number: ImagePath.parse(f"{number}.img")),
        st.integers(0, 100),
        st.tuples(st.integers(0, 5), st.just(0.0)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
    unique_by=lambda one: one.image,
)


@given(st.integers(-50, 500), HOLDINGS, st.builds(Full, st.sampled_from(WhenFull), st.booleans()))
def test_what_goes_suffices_nothing_of_it_in_vain_and_nothing_that_is_to_stay(
    missing: int, held: list[Holding], full: Full
) -> None:
    goes = to_evict(missing, held, full)
    images = [one for one in held if one.kind is Kind.IMAGE]
    stay = [one for one in images if one.pinned or full.action is not WhenFull.EVICT]
    stay += [one for one in images if one.seeded and not full.evict_seeded]
    if goes is None:
        assert sum(one.size for one in held if one not in stay) < missing
        return
    assert not [one for one in goes if one in stay]
    left = missing - sum(one.size for one in goes)
    assert left <= 0 and all(left + one.size > 0 for one in goes)
    if any(one.kind is Kind.IMAGE for one in goes):  # no image for what the previous versions have
        assert sum(one.size for one in held if one.kind is Kind.PREVIOUS) < missing


def test_in_place_is_for_an_old_version_that_there_is_no_room_beside() -> None:
    older = replace(OLDER, standing=GIB, partial=GIB // 4)
    assert plan(NEW, older, Room(NEEDED, 2 * GIB), False, full=IN_PLACE) == Fetch(NEEDED - GIB // 4)
    tight = Room(0, 2 * GIB)  # but for what came of the new one already
    over = NEEDED - GIB
    assert plan(NEW, older, tight, False, full=IN_PLACE) == InPlace(over)
    assert plan(NEW, older, tight, False) == NoSpace(NEEDED - GIB // 4, tight.free, 2 * GIB)
    for other in (replace(older, is_directory=True), replace(NOTHING, partial=GIB // 4)):
        assert isinstance(plan(NEW, other, tight, False, full=IN_PLACE), NoSpace)


def test_in_place_nothing_is_lost_where_even_that_is_too_much() -> None:
    small = replace(OLDER, standing=GIB // 2)
    over = NEEDED - GIB // 2
    assert plan(NEW, small, Room(over - 1, GIB), False, full=IN_PLACE) == NoSpace(NEEDED, over - 1, GIB)
    held = (holding("a.img", 1, kind=Kind.PREVIOUS), holding("b.img", GIB))
    assert plan(NEW, small, Room(over - 1, GIB, held), False, full=IN_PLACE) == InPlace(over, held[:1])
