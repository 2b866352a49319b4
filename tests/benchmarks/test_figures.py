"""The figures that come of what was measured, and the tables that show them."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.goals import GOALS, heading, rows
from benchmarks.lesson import Filling
from benchmarks.port import TCP_HEADERS, Traffic
from benchmarks.report import Outcome, as_data
from benchmarks.scenario import SCENARIOS
from benchmarks.setting import Setting

SIZE = 100_000_000
LIMIT = 8.0


def filling(**figures: Any) -> Filling:
    """Two seats at 1.0 and 1.5 times the limit, one copy sent, four CPU seconds, half of the time idle."""
    usual: dict[str, Any] = {
        "seconds": [LIMIT, 1.5 * LIMIT],
        "late_seconds": [],
        "sent": Traffic(0, 0),
        "payload_sent": SIZE,
        "payload_inward": [],
        "payload_received": 2 * SIZE,
        "cpu_seconds": 4.0,
        "idle": 0.5,
        "start_spread": 0.0,
    }
    return Filling(**usual | figures)


def outcome(name: str, *fillings: Filling) -> Outcome:
    return Outcome(CONTENDERS[name], fillings=list(fillings))


def setting(scenario: str = "plain", rate: float | None = 100) -> Setting:
    return Setting(2, rate, rate, SIZE, SCENARIOS[scenario])


def medians(about: Setting, *outcomes: Outcome) -> dict[str, float]:
    found: dict[str, float] = as_data(outcomes, about)["contenders"][outcomes[0].contender.name]["median"]
    return found


def test_payload_is_what_is_left_of_frames_without_their_headers() -> None:
    # Two full frames and a bare acknowledgement.
    assert Traffic(2 * 1514 + 66, 3).payload(TCP_HEADERS) == 2 * 1448
    assert Traffic(100, 3) - Traffic(40, 1) == Traffic(60, 2)


def test_the_plain_room_has_last_and_median_over_the_limit_and_copies_of_payload() -> None:
    found = medians(setting(), outcome("ogtorrent", filling(payload_sent=1.25 * SIZE)))
    assert found["last_over_limit"] == pytest.approx(1.5)
    assert found["median_over_limit"] == pytest.approx(1.25)
    assert found["copies"] == pytest.approx(1.25)
    assert found["cpu_seconds_a_peer_and_gib"] == pytest.approx(4.0 / 2 / (SIZE / 2**30))
    assert "late_over_limit" not in found and "uplink_copies" not in found and "last_over_http" not in found


def test_who_comes_late_has_a_figure_apart() -> None:
    found = medians(setting("late"), outcome("ogtorrent", filling(late_seconds=[2 * LIMIT])))
    assert found["late_over_limit"] == pytest.approx(2.0)
    assert found["last_over_limit"] == pytest.approx(1.5)


def test_two_images_are_one_work() -> None:
    found = medians(setting("two-images"), outcome("ogtorrent", filling(payload_sent=2 * SIZE)))
    assert (found["last_over_limit"], found["copies"]) == (pytest.approx(0.75), pytest.approx(1.0))


def test_of_two_uplinks_the_fuller_one_is_shown() -> None:
    inward = [SIZE, int(1.3 * SIZE)]
    found = medians(setting("two-rooms"), outcome("ogtorrent", filling(payload_inward=inward)))
    assert found["uplink_copies"] == pytest.approx(1.3)


def test_what_came_over_no_uplink_came_from_inside() -> None:
    run = filling(payload_inward=[SIZE, int(1.5 * SIZE)], payload_received=10 * SIZE)
    assert medians(setting("two-rooms"), outcome("ogtorrent", run))["inside"] == pytest.approx(0.75)
    assert "inside" not in medians(setting(), outcome("ogtorrent", filling()))


def test_unshaped_time_is_also_over_that_of_http_if_it_is_there() -> None:
    http = outcome("http", filling(seconds=[10.0]), filling(seconds=[12.0]))
    ours = outcome("ogtorrent", filling(seconds=[13.2]))
    unshaped = setting(rate=None)
    found = medians(unshaped, ours, http)
    assert found["last_over_http"] == pytest.approx(1.2)
    assert found["last_seconds_a_gib"] == pytest.approx(13.2 / (SIZE / 2**30))
    assert "last_over_http" not in medians(unshaped, ours)
    assert "last_over_http" not in medians(setting(), ours, http)


def test_a_goal_is_a_row_for_each_figure_with_a_cell_for_each_contender() -> None:
    goal = GOALS["late"]
    limit, size = goal.setting.limit, goal.setting.size
    assert limit is not None
    runs = [
        filling(seconds=[last * limit], late_seconds=[1.05 * limit], payload_sent=size, idle=idle)
        for last, idle in ((1.11, 0.05), (1.09, 0.06), (1.2, 0.5))
    ]
    failed = outcome("ctorrent", filling(seconds=[2 * limit], late_seconds=[limit]))
    failed.failures.append("it fell over")
    absent = Outcome(CONTENDERS["aria2"], absence="apt-get install aria2")
    names = ["ogtorrent", "ctorrent", "aria2", "http"]

    lines = rows(goal, [outcome("ogtorrent", *runs), failed, absent], names)

    assert [line.count("|") for line in [*heading(names), *lines]] == [8] * 6
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0][0] == "8 clients, one joins halfway, 256 MiB, 100 Mbit/s; limit 21.5 s"
    assert cells[0][1:] == ["last x limit", "1.10", "1.11 (1.09–1.20)", "2.00, failed 1 of 2", "absent", ""]
    assert cells[1][:4] == ["", "late x limit", "1.08", "1.05 (1.05–1.05)"]
    assert cells[2][:4] == ["", "copies sent", "1.1", "1.00 (1.00–1.00)"]
    assert cells[3][1:5] == ["idle", "", "6% (5%–50%), CPU spent", "50%"]


@pytest.mark.parametrize("name", GOALS)
def test_every_goal_is_for_a_figure_of_its_room(name: str) -> None:
    goal = GOALS[name]
    assert goal.setting.why_not() is None
    figures = filling(late_seconds=[1.0], payload_inward=[1, 1])
    outcomes = [outcome("ogtorrent", figures), outcome("http", figures)]
    assert goal.wanted and set(goal.wanted) <= set(medians(goal.setting, *outcomes))
