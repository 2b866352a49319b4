"""How a figure went: samples at an even pace, never more than fit a plot. Pure: `now` is an argument."""

from typing import NamedTuple

MOST = 120  # samples; then every other one goes, and the pace is halved
FIRST_STEP = 1.0  # seconds


class Curve(NamedTuple):
    """Sample `i` is of the `step` seconds from `start + i * step`, in seconds of the caller's clock."""

    start: float
    step: float = FIRST_STEP
    values: tuple[float, ...] = ()

    def grown(self, now: float, value: float) -> "Curve":
        """The curve with `value` as what it is now, and was since the last sample.

        The last sample is the latest value, until the next is due.
        """
        step, values = self.step, self.values
        while (now - self.start) / step >= MOST:
            step, values = 2 * step, values[::2]
        due = int((now - self.start) / step) + 1 - len(values)
        if due < 1:
            values, due = values[:-1], 1
        return Curve(self.start, step, values + (value,) * due)

    @property
    def latest(self) -> float:
        return self.values[-1] if self.values else 0.0
