"""What is kept of a deployment when its seats have gone. Units as in `snapshot`."""

import statistics
from dataclasses import dataclass

from tracker.classroom.snapshot import Deployment, SeatState, Trouble, natural


@dataclass(frozen=True, slots=True)
class SeatRecord:
    """One seat of one deployment, as it was at the last."""

    name: str  # of the PC, as of a seat
    address: str
    room: str
    began: float  # when it came
    took: float | None  # from then until it was done
    state: SeatState
    progress: float
    trouble: Trouble | None  # the last that it had, though it may be over

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.name or self.address


@dataclass(frozen=True, slots=True)
class DeploymentSummary:
    """One line of the history: what `DeploymentRecord` says of itself."""

    deployment: Deployment
    seats: int
    done: int
    median: float | None
    last: float | None
    stragglers: tuple[str, ...]  # as people call them
    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """One deployment with its seats, as people count them."""

    deployment: Deployment
    seats: tuple[SeatRecord, ...]

    @property
    def done(self) -> int:
        return sum(seat.state is SeatState.DONE for seat in self.seats)

    @property
    def median(self) -> float | None:
        """From the deployment's begin until the middle one of the seats that were done was; None before any.

        Of an even number of seats it is the mean of both in the middle. Seats that were never done, or had
        the image when they came (`took` is None), do not count.
        """
        return statistics.median(spans) if (spans := self._spans()) else None

    @property
    def last(self) -> float | None:
        """From the deployment's begin until the last of the seats that `median` counts was done."""
        return max(self._spans(), default=None)

    @property
    def stragglers(self) -> tuple[SeatRecord, ...]:
        """Seats that had trouble, and those that were never done: none that is under way in one that runs."""
        runs = self.deployment.ended is None
        return tuple(
            seat
            for seat in self.seats
            if seat.trouble or not (seat.state is SeatState.DONE or (runs and seat.state.is_under_way))
        )

    @property
    def rooms(self) -> tuple[str, ...]:
        return tuple(sorted({seat.room for seat in self.seats}, key=natural))

    @property
    def summary(self) -> DeploymentSummary:
        return DeploymentSummary(
            self.deployment,
            len(self.seats),
            self.done,
            self.median,
            self.last,
            tuple(seat.shown for seat in self.stragglers),
            self.rooms,
        )

    def _spans(self) -> list[float]:
        # A seat may have come, and even been done, before the deployment began.
        return [
            max(0.0, seat.began + seat.took - self.deployment.began)
            for seat in self.seats
            if seat.took is not None and seat.state is SeatState.DONE
        ]
