"""The work that every contender is given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A room and an image. Rates in Mbit/s, None for unshaped; size in bytes."""

    clients: int
    rate: float | None
    repository_rate: float | None
    size: int

    @property
    def slowest(self) -> float | None:
        return min((rate for rate in (self.rate, self.repository_rate) if rate is not None), default=None)

    @property
    def limit(self) -> float | None:
        """Seconds in which the image passes the slowest port: nobody can have it sooner."""
        return None if self.slowest is None else self.size * 8 / (self.slowest * 1e6)
