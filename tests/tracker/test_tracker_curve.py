"""How a figure went, in a handful of samples."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from tracker.classroom.curve import FIRST_STEP, MOST, Curve

# Of eighths of a second, which floats add exactly.
steps = st.lists((st.integers(0, 40) | st.integers(0, 40_000)).map(lambda step: step / 8), max_size=300)


@given(st.integers(0, 2_000_000_000), steps)
def test_samples_are_few_at_an_even_pace_and_of_their_time(start: int, steps: list[float]) -> None:
    curve = Curve(start)
    told = list(accumulate(steps))
    for now in told:
        # The figure is the time itself, so each sample says when it was told.
        curve = curve.grown(start + now, now)
        assert curve.latest == now
        assert len(curve.values) == int(now / curve.step) + 1 <= MOST
    assert curve.step in {FIRST_STEP * 2**times for times in range(20)}
    assert curve.step == FIRST_STEP or len(curve.values) > MOST / 2
    for number, value in enumerate(curve.values):
        due, next_due = number * curve.step, (number + 1) * curve.step
        assert due <= value < next_due or value == min(now for now in told if now >= due)


def test_a_long_silence_is_filled_with_what_follows() -> None:
    curve = Curve(100).grown(100, 1).grown(101, 2).grown(105.5, 3)
    assert curve == Curve(100, 1, (1, 2, 3, 3, 3, 3))


def test_every_other_sample_goes_when_there_are_too_many() -> None:
    curve = Curve(0)
    for now in range(MOST + 1):
        curve = curve.grown(now, now)
    assert curve == Curve(0, 2 * FIRST_STEP, tuple(range(0, MOST + 1, 2)))


def test_a_clock_that_is_set_back_changes_only_the_latest() -> None:
    curve = Curve(100).grown(99, 1)
    assert curve.latest == 1
    curve = curve.grown(102, 2).grown(50, 3)
    assert curve.values == (1, 2, 3)


def test_nothing_is_nothing() -> None:
    assert Curve(0).latest == 0
