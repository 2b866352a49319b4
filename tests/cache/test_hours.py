"""Quiet hours and rates, as an administrator writes them."""

from datetime import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ogtorrent.cache.hours import Quiet, bytes_a_second


@pytest.mark.parametrize(
    "written, within, without",
    [
        ("08:00-15:00", ["08:00", "12:30", "14:59"], ["07:59", "15:00", "00:00"]),
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["21:59", "06:00", "12:00"]),
        ("00:00-23:59", ["00:00", "23:58"], ["23:59"]),
    ],
)
def test_hours_hold_from_their_start_until_their_end(
    written: str, within: list[str], without: list[str]
) -> None:
    quiet = Quiet.parse(written)
    assert [text for text in within + without if quiet.holds(time.fromisoformat(text))] == within


@given(st.text() | st.from_regex(r"\d\d:\d\d-\d\d:\d\d", fullmatch=True))
@example("08:00-08:00")
@example("24:00-25:00")
def test_what_are_no_hours_is_refused_with_an_example(written: str) -> None:
    try:
        quiet = Quiet.parse(written)
    except ValueError as refusal:
        assert "08:00-15:00" in str(refusal)
    else:
        assert f"{quiet.start:%H:%M}-{quiet.end:%H:%M}" == written and quiet.start != quiet.end


def test_a_rate_is_in_bits_as_opengnsys_writes_it() -> None:
    assert [bytes_a_second(text) for text in ("70M", "1G", "500K")] == [8_750_000, 125_000_000, 62_500]


@given(st.text())
@example("0M")
@example("50")
@example("-1M")
@example("50m")
@example("٥M")
def test_what_is_no_rate_is_refused_with_an_example(written: str) -> None:
    try:
        assert bytes_a_second(written) > 0
    except ValueError as refusal:
        assert "50 Mbit/s" in str(refusal)
