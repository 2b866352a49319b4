"""What a mirror does with each image, decided from what is offered, held and chosen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogtorrent.errors import BadMirror
from ogtorrent.fetch.catalogue import Listed
from ogtorrent.layout import ImagePath
from ogtorrent.repository.mirror.plan import (
    LONGEST,
    Bring,
    Brought,
    Busy,
    Compare,
    Elsewhere,
    Held,
    InStep,
    Keep,
    Step,
    Wait,
    chosen,
    pause,
    plan,
)
from ogtorrent.repository.mirror.source import checked

CAMPUS, NAS = "http://campus:6969", "/mnt/nas"
WINDOWS = ImagePath.parse("aula1/windows.img")
OFFER = Listed(WINDOWS, "ready", 100, "new")


def one(offer: Listed, held: Held | None, claimed: tuple[ImagePath, ...] = ()) -> Step:
    known = {} if held is None else {WINDOWS: held}
    (step,) = plan(CAMPUS, [offer], known, claimed, [CAMPUS, NAS])
    return step


@pytest.mark.parametrize(
    ("held", "step"),
    [
        (None, Bring(OFFER)),
        (Held("here", Brought(CAMPUS, "old", "here")), Bring(OFFER, over="here")),
        (Held("here", Brought(CAMPUS, "new", "here")), InStep(WINDOWS)),
        (Held(""), Busy(WINDOWS)),
        (Held("", Brought(CAMPUS, "old", "here")), Busy(WINDOWS)),
        (Held("here"), Compare(OFFER, Held("here"))),
        (Held("here", Brought(NAS, "old", "here")), Elsewhere(WINDOWS)),
        (Held("here", Brought("http://gone:6969", "old", "here")), Bring(OFFER, over="here")),
    ],
)
def test_a_step_by_what_stands_here(held: Held | None, step: Step) -> None:
    assert one(OFFER, held) == step


def test_what_the_source_is_writing_is_waited_for() -> None:
    busy = Listed(WINDOWS, "hashing", 100)
    assert one(busy, None) == Wait(WINDOWS, "hashing", stands=False)
    assert one(busy, Held("here")) == Wait(WINDOWS, "hashing", stands=True)


def test_of_two_sources_the_one_that_was_named_first_brings_it() -> None:
    assert one(OFFER, None, claimed=(WINDOWS,)) == Elsewhere(WINDOWS)


def test_what_the_source_has_no_more_is_kept() -> None:
    held = {WINDOWS: Held("here", Brought(CAMPUS, "old", "here")), ImagePath.parse("mine.img"): Held("mine")}
    assert list(plan(CAMPUS, [], held, (), [CAMPUS])) == [Keep(WINDOWS)]


@given(st.builds(Held, st.sampled_from("abc"), st.none() | st.builds(Brought, *[st.sampled_from("abc")] * 3)))
def test_what_was_changed_here_is_never_written_over(held: Held) -> None:
    (step, *_) = plan("a", [Listed(WINDOWS, "ready", 1, "b")], {WINDOWS: held}, (), ["a", "b"])
    if isinstance(step, Bring):
        assert held.brought is not None and held.brought.stands == held.version == step.over


@pytest.mark.parametrize(
    ("globs", "wanted"),
    [
        ([], True),
        (["windows*"], True),
        (["aula1/*"], True),
        (["x", "*/w*"], True),
        (["aula2/*"], False),
        (["windows"], False),
        (["WINDOWS*"], False),
        (["1/*"], False),
    ],
)
def test_images_are_chosen_by_name_or_by_path(globs: list[str], wanted: bool) -> None:
    assert chosen(WINDOWS, globs) is wanted


def test_a_source_that_is_down_is_asked_ever_more_seldom_but_asked() -> None:
    pauses = [pause(failures) for failures in range(1, 3000)]
    assert pauses == sorted(pauses) and pauses[0] < 10 and pauses[-1] == LONGEST


def test_a_source_is_a_repository_or_a_folder() -> None:
    assert checked("http://campus") == "campus"
    assert checked("http://[fd00::1]:7000/") == "[fd00::1]:7000"
    assert str(checked("/mnt/nas")) == "/mnt/nas"


@pytest.mark.parametrize(
    "given",
    ["", "nas", "./nas", "campus:6969", "https://campus", "http://", "http://campus/x", "http://a:99999"],
)
def test_anything_else_is_refused(given: str) -> None:
    with pytest.raises(BadMirror):
        checked(given)
