"""The picture of swarms, from prepared answers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogtorrent.cli.status import Frame, read
from ogtorrent.words import CATALOGUES, Words

ENGLISH, SPANISH = Words("en", CATALOGUES), Words("es", CATALOGUES)
NOW = 1_700_000_000.0
TROUBLE = {"kind": "slow-port", "figure": 100, "words": "", "told": "Its port runs at 100 Mbit/s."}


def seat(name: str, state: str = "filling", **more: Any) -> dict[str, Any]:
    return {
        "address": "10.1.0.20",
        "name": name,
        "room": "Aula 1",
        "state": state,
        "status": "seeding" if state == "done" else "leeching",
        "progress": 1.0 if state == "done" else 0.25,
        "rate": 1024.0 * 1024,
        "time_left": 50.0 if state == "filling" else None,
        "trouble": None,
    } | more


def swarm(*seats: dict[str, Any], name: str = "aula1/windows.img", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "size": 3 * 2**30,
        "progress": 0.625,
        "copies": 2.0,
        "done": sum(one["state"] == "done" for one in seats),
        "filling": sum(one["state"] == "filling" for one in seats),
        "lost": sum(one["state"] == "lost" for one in seats),
        "rate": 2.0 * 2**20,
        "time_left": 120.0,
        "deployment": {"id": "1", "began": NOW - 90, "ended": None, "copies": 1.25, "share": 0.75},
        "seats": list(seats),
    } | more


def drawn(*swarms: dict[str, Any], words: Words = ENGLISH, **frame: Any) -> str:
    given = {"width": 80} | frame
    return Frame(words, **given).draw("server:6969", read({"swarms": list(swarms)}), NOW).plain


def test_a_swarm_is_told_in_three_lines() -> None:
    lines = drawn(swarm(seat("pc1"), seat("pc2", "done"))).splitlines()
    (start,) = (number for number, line in enumerate(lines) if line.startswith("aula1/windows.img"))
    clock = ENGLISH.clock(NOW + 120).replace("\u202f", " ")
    assert lines[start].split("  ")[:2] == ["aula1/windows.img", "3 GiB"]
    assert lines[start].endswith(f"2 min left, ready at {clock}") and len(lines[start]) == 80
    assert lines[start + 1] == "█" * 46 + "░" * 29 + " 62 %"
    assert lines[start + 2] == "✓ 1 done  ▸ 1 filling  2 MiB/s  1.25 copies sent  75 % from seats"


def test_the_same_in_spanish() -> None:
    shown = drawn(swarm(seat("pc1"), seat("pc2", "done")), words=SPANISH)
    assert "listos: 1" in shown and "1,25 copias enviadas" in shown
    assert f"faltan 2 min, lista a las {SPANISH.clock(NOW + 120)}" in shown


def test_a_deployment_that_is_over_says_when_and_how_long_it_took() -> None:
    over = {"id": "1", "began": NOW - 300, "ended": NOW - 60, "copies": 1.0, "share": None}
    shown = drawn(swarm(seat("pc1", "done"), deployment=over, time_left=None))
    assert re.search("ended at .*M, after 4 min", shown) and "from seats" not in shown
    assert "time left unknown" in drawn(swarm(seat("pc1"), time_left=None))


def test_whoever_needs_somebody_comes_first() -> None:
    seats = [seat(f"pc{number}") for number in range(9)]
    seats[7] = seat("pc7", trouble=TROUBLE)
    lines = drawn(swarm(*seats)).splitlines()
    assert lines[2:4] == ["One seat needs somebody", "! pc7 (Aula 1): Its port runs at 100 Mbit/s."]
    tiles = [line for line in lines if line[:2] in ("! ", "▸ ")][1:]
    assert tiles[0].startswith("! pc7") and " pc0 " in tiles[0]


def test_seats_that_are_done_are_a_count_and_the_others_tiles() -> None:
    done = [seat(f"ready{number}", "done") for number in range(199)]
    lines = drawn(swarm(seat("pc1", "lost"), *done, seat("pc2"))).splitlines()
    assert any(line.startswith("Aula 1 ") and line.endswith("199 of 201 done") for line in lines)
    assert "ready1" not in "\n".join(lines) and len(lines) < 12
    assert any("✗ pc1  25 %  lost" in line for line in lines)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (200, 50), (30, 4)])
def test_two_hundred_seats_fit_the_terminal(width: int, height: int) -> None:
    seats = [seat(f"pc{number}", trouble=TROUBLE if number % 2 else None) for number in range(200)]
    lines = drawn(swarm(*seats), swarm(*seats, name="b.img"), width=width, height=height).splitlines()
    assert len(lines) == height and max(map(len, lines)) <= width
    assert "more lines" in lines[-1]
    if height >= 24:
        assert any(line.startswith("aula1/windows.img") for line in lines)


def test_a_terminal_without_our_letters_gets_plain_ones() -> None:
    assert drawn(swarm(seat("pc1"), seat("pc2", "lost")), ascii=True).isascii()


def test_images_without_seats_are_a_count() -> None:
    assert drawn().splitlines()[-1] == "no image is published"
    shown = drawn(swarm(name="a.img"), swarm(name="b.img"))
    assert shown.splitlines()[-1] == "2 images are published that no seat asks for" and "a.img" not in shown


def test_a_name_cannot_move_the_cursor_nor_mark_up() -> None:
    hostile = "\x1b[2J\x1b]0;x\x07[red]\u202e\n\r\x9b" + "long" * 3000
    shown = drawn(swarm(seat(hostile, trouble=TROUBLE | {"told": hostile}), name=hostile))
    assert all(line.isprintable() for line in shown.splitlines())
    assert "[red]" in shown and max(map(len, shown.splitlines())) <= 80


def test_figures_beyond_all_sense_are_drawn() -> None:
    over = {"id": "1", "began": 0, "ended": 10**400, "copies": 10**400, "share": 7}
    for filling in (0, 10**400):
        shown = drawn(swarm(seat("pc1", time_left=1e300), time_left=1e300, deployment=over, filling=filling))
        assert max(map(len, shown.splitlines())) <= 80 and "pc1" in shown


def test_a_room_says_how_many_of_its_pcs_were_not_seen() -> None:
    unseen = [
        {"address": f"10.1.0.{n}", "name": f"pc{n}", "room": room}
        for n, room in ((2, "Aula 1"), (3, "Aula 2"))
    ]
    told = {"swarms": [swarm(seat("pc1"), seat("pc9", "done"))], "unseen": unseen}
    shown = Frame(ENGLISH, 80).draw("server:6969", read(told), NOW).plain
    assert "1 of 2 done, 1 not seen" in shown and "Aula 2" not in shown


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"error": "no"},
        {"swarms": None},
        {"swarms": [1]},
        {"swarms": [], "unseen": 3},
        {"swarms": [], "unseen": [{"room": 3}]},
        {"swarms": [swarm(seat("pc1"), size="3")]},
        {"swarms": [swarm(seat("pc1"), rate=float("nan"))]},
        {"swarms": [swarm(seat("pc1", address=None, trouble={"kind": "lost"}))]},
    ],
)
def test_an_answer_that_is_none_of_swarms_is_refused(answer: object) -> None:
    with pytest.raises(ValueError):
        read(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(sorted(swarm())), JSON),
    st.dictionaries(st.sampled_from(sorted(seat(""))), JSON),
)
def test_any_answer_is_drawn_or_refused(swarms: dict[str, Any], seats: dict[str, Any]) -> None:
    answer = {"swarms": [swarm(seat("pc1"), seat("pc2", "done") | seats) | swarms]}
    try:
        found = read(json.loads(json.dumps(answer)))
    except ValueError:
        return
    shown = Frame(ENGLISH, 60, 30).draw("server:6969", found, NOW).plain
    assert all(line.isprintable() for line in shown.split("\n"))
