"""What a lesson's setting says of its seats, its limit and the room that it takes."""

from __future__ import annotations

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.scenario import SCENARIOS, Role
from benchmarks.setting import Setting

MIB = 1 << 20


def setting(scenario: str, clients: int = 8, rate: float | None = 100, own: float | None = 100) -> Setting:
    return Setting(clients, rate, own, 100 * MIB, SCENARIOS[scenario])


@pytest.mark.parametrize(
    ("scenario", "ordinary", "apart"),
    [
        ("plain", 8, []),
        ("late", 7, [Role.LATE]),
        ("killed", 6, [Role.VICTIM, Role.VICTIM]),
        ("slow-port", 7, [Role.SLOW]),
        ("two-images", 8, []),
        ("two-rooms", 16, []),
        ("warm", 8, []),
    ],
)
def test_all_seats_are_ordinary_but_the_last_ones(scenario: str, ordinary: int, apart: list[Role]) -> None:
    assert setting(scenario).roles == [Role.ORDINARY] * ordinary + apart


def test_the_limit_is_what_passes_the_slowest_port() -> None:
    seconds = 100 * MIB * 8 / 100e6
    assert setting("plain").limit == pytest.approx(seconds)
    assert setting("plain", own=50).limit == pytest.approx(2 * seconds)
    assert setting("plain", own=400).limit == pytest.approx(seconds)
    assert setting("plain", own=None).limit == pytest.approx(seconds)
    assert setting("plain", rate=None, own=None).limit is None


def test_a_seat_that_nobody_waits_for_does_not_set_the_limit() -> None:
    assert setting("slow-port").limit == setting("plain").limit


def test_two_images_take_twice_the_time_and_an_image_that_is_there_takes_none() -> None:
    plain = setting("plain")
    assert plain.limit is not None
    assert setting("two-images").limit == pytest.approx(2 * plain.limit)
    assert setting("warm").limit == plain.limit
    assert [len(setting(name).images) for name in ("plain", "two-images", "warm")] == [1, 2, 2]


def test_space_is_for_all_images_of_everybody() -> None:
    assert setting("plain").space == 9 * 100 * MIB
    assert setting("warm").space == 2 * 9 * 100 * MIB
    assert setting("two-rooms").space == 17 * 100 * MIB


def test_a_scenario_without_ordinary_seats_or_without_a_limit_is_refused() -> None:
    assert all(setting(name).why_not() is None for name in SCENARIOS)
    assert "more than 2 clients" in (setting("killed", clients=2).why_not() or "")
    assert setting("killed", clients=3).why_not() is None
    assert "unshaped" in (setting("late", rate=None).why_not() or "")
    assert setting("plain", clients=1, rate=None, own=None).why_not() is None


def test_multicast_stays_away_from_what_it_cannot_do_and_says_why() -> None:
    answers = {name: CONTENDERS["udpcast"].why_not(setting(name)) or "" for name in SCENARIOS}
    absent = {name for name, answer in answers.items() if "multicast" in answer}
    assert absent == {"late", "killed", "two-images", "warm"}
