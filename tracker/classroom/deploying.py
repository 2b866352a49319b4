"""The deployment that runs in one swarm: from the first seat that fills until none does."""

import time
from statistics import fmean

from tracker.classroom.course import Course
from tracker.classroom.curve import Curve
from tracker.classroom.record import DeploymentRecord, SeatRecord
from tracker.classroom.snapshot import Deployment, by_seat

QUIET = 30.0  # seconds in which no seat fills, before a deployment is over


class Deploying:
    """What is known of it; moments are those of the tracker's clock, `epoch` is when that was zero.

    `sent` is what the repository has sent since its swarm is followed, in bytes.
    """

    def __init__(self, image: str, size: int, swarm: bytes, sent: int, now: float, epoch: float) -> None:
        self.began = self._busy = now
        self.ended: float | None = None
        self._image, self._size = image, size
        # The same for each tracker that sees it, and in the order in which they began.
        self.id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now + epoch))}-{swarm.hex()[:6]}"
        self._sent, self._sent_before = sent, sent
        self._delivered_before = 0
        self._former: dict[str, SeatRecord] = {}
        self._seats: dict[bytes, Course] = {}
        self.filled, self.rates = Curve(now), Curve(now)

    def resume(self, former: DeploymentRecord, epoch: float) -> None:
        """Go on with one that ran when a tracker ended: what its seats had done by then counts."""
        self.id = former.deployment.id
        self.began = former.deployment.began - epoch
        self._sent_before -= former.deployment.sent
        self._delivered_before = former.deployment.delivered
        self._former = {seat.address: seat for seat in former.seats}

    def join(self, seat: Course, epoch: float) -> None:
        """Count a seat in that fills."""
        if seat.endpoint not in self._seats:
            self._seats[seat.endpoint] = seat
            former = self._former.pop(seat.address, None)
            if former is not None:
                seat.began = former.began - epoch

    def part(self, seat: Course) -> None:
        """The PC goes on as another client."""
        self._seats.pop(seat.endpoint, None)

    def go_on(self, sent: int, now: float) -> float | None:
        """Take in another look; the seconds that it took, if it is over by now."""
        seats = self._seats.values()
        self._sent = sent
        if any(seat.state.is_under_way for seat in seats):
            self._busy = now
        progress = fmean(seat.progress(self._size) for seat in seats) if seats else 0.0
        self.filled = self.filled.grown(now, progress)
        self.rates = self.rates.grown(now, sum(seat.rate for seat in seats if seat.state.is_under_way))
        if now - self._busy < QUIET:
            return None
        self.end()
        return self._busy - self.began

    def end(self) -> None:
        """It was over when the last seat stopped to fill."""
        if self.ended is None:
            self.ended = self._busy

    def shown(self, epoch: float) -> Deployment:
        return Deployment(
            self.id,
            self._image,
            self._size,
            self.began + epoch,
            self.ended + epoch if self.ended is not None else None,
            self._sent - self._sent_before,
            self._delivered_before + sum(seat.delivered for seat in self._seats.values()),
        )

    def record(self, epoch: float) -> DeploymentRecord:
        """What is to be kept of it."""
        seats = [_seat(seat, self._size, epoch) for seat in self._seats.values()]
        return DeploymentRecord(
            self.shown(epoch), tuple(sorted([*seats, *self._former.values()], key=by_seat))
        )


def _seat(seat: Course, size: int, epoch: float) -> SeatRecord:
    return SeatRecord(
        seat.name,
        seat.address,
        seat.room,
        seat.began + epoch,
        seat.took,
        seat.state,
        seat.progress(size),
        seat.worst,
    )
