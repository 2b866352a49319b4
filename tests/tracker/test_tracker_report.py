"""What a seat says of itself is read, or refused with the field's name; nothing else comes of it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.classroom import report
from tracker.classroom.report import Doing, Neighbour, Report, ReportError
from tracker.request import InfoHash

LEAST = {
    "info_hash": "ab" * 20,
    "port": 6881,
    "doing": "filling",
    "done": 10,
    "download_rate": 20,
    "upload_rate": 30,
    "peers": 1,
}
MORE = {
    "name": "pc1",
    "link": 1000,
    "disk_rate": 50,
    "disk_waits": 0.25,
    "reachable": False,
    "cache_size": 70,
    "cache_free": 60,
    "neighbours": [{"address": "10.1.0.21", "port": 6882, "down": 5, "up": 6}],
    "availability": [1, 2],
    "error_code": 16,
    "error": "the cache is full",
}


def parse(told: Any) -> Report:
    return report.parse(json.dumps(told).encode())


def test_a_report_says_all_that_a_seat_knows() -> None:
    assert parse(LEAST | MORE) == Report(
        info_hash=InfoHash(b"\xab" * 20),
        port=6881,
        name="pc1",
        doing=Doing.FILLING,
        done=10,
        download_rate=20,
        upload_rate=30,
        link=1000,
        disk_rate=50,
        disk_waits=0.25,
        reachable=False,
        cache_size=70,
        cache_free=60,
        peers=1,
        neighbours=(Neighbour("10.1.0.21", 6882, 5, 6),),
        availability=(1, 2),
        error_code=16,
        error="the cache is full",
    )


def test_what_a_seat_does_not_know_it_leaves_out() -> None:
    read = parse(LEAST)
    assert (read.name, read.link, read.disk_waits, read.reachable) == ("", None, None, None)
    assert (read.neighbours, read.availability, read.error_code, read.error) == ((), (), None, "")
    assert parse(LEAST | dict.fromkeys(["link", "disk_waits", "reachable", "cache_free"])) == read


def test_what_a_later_client_adds_is_passed_over() -> None:
    neighbour = MORE["neighbours"][0] | {"colour": "blue"}  # type: ignore[index]
    told = LEAST | MORE | {"colour": {"of": ["eyes"]}, "": None, "neighbours": [neighbour]}
    assert parse(told) == parse(LEAST | MORE)


NUMBERS = [-1, 1.0, "1", True, [], 1 << 63]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        (
            "info_hash",
            [None, "", "ab" * 19, "ab" * 32, "zz" * 20, "ab" * 10 + " " * 20, "\uff11" * 40, 7, []],
        ),
        ("port", [None, 65536, *NUMBERS]),
        ("name", [None, 1, ["pc1"]]),
        ("doing", [None, "dancing", 1, [], {}]),
        ("done", [None, *NUMBERS]),
        ("download_rate", [None, *NUMBERS]),
        ("upload_rate", [None, *NUMBERS]),
        ("peers", [None, *NUMBERS]),
        ("link", NUMBERS),
        ("disk_rate", NUMBERS),
        ("cache_size", NUMBERS),
        ("cache_free", NUMBERS),
        ("error_code", NUMBERS),
        ("disk_waits", [-0.1, 1.1, float("nan"), float("inf"), True, "1", []]),
        ("reachable", [0, 1, "true", []]),
        ("neighbours", [None, {}, "x", [1], [[]], [MORE["neighbours"]], [{}] * 17]),
        ("availability", [None, {}, [None], [-1], [0.5], [1] * 65]),
        ("error", [None, 1, {}]),
    ],
)
def test_a_field_that_is_wrong_is_named(field: str, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(ReportError, match=rf"^(each of )?{field} is "):
            parse(LEAST | MORE | {field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("address", 1), ("port", 65536), ("port", None), ("down", -1), ("up", 0.5)]
)
def test_a_neighbours_field_that_is_wrong_is_named(field: str, value: object) -> None:
    neighbour = MORE["neighbours"][0] | {field: value}  # type: ignore[index]
    with pytest.raises(ReportError, match=f"^{field} is "):
        parse(LEAST | {"neighbours": [neighbour]})


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"{", b"[" * 100_000, b'{"port": ' + b"9" * 10_000 + b"}", b"[]", b"null", b'"pc1"', b"1"],
)
def test_what_is_no_object_of_json_is_refused(body: bytes) -> None:
    with pytest.raises(ReportError, match=r"^a report is "):
        report.parse(body)


def test_texts_are_cut_and_cleaned() -> None:
    read = parse(LEAST | {"name": "a\0\ud800\u202e🦉" + "n" * 10_000, "error": "e" * 10_000})
    assert read.name == "a\ufffd\ufffd\ufffd🦉" + "n" * 59
    assert read.error == "e" * 500


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(values | st.dictionaries(st.sampled_from(list(LEAST | MORE)), values, max_size=3).map(LEAST.__or__))
@settings(deadline=None)
def test_any_json_is_a_report_or_refused(told: Any) -> None:
    try:
        read = parse(told)
    except ReportError as refused:
        assert str(refused)
    else:
        repr(read).encode()
        assert 0 <= read.port < 65536 and len(read.name) <= 64


@given(st.binary(max_size=200))
def test_any_bytes_are_a_report_or_refused(body: bytes) -> None:
    with pytest.raises(ReportError):
        report.parse(body)
