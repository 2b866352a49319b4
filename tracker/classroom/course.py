"""How one seat gets on in one swarm, by what its announces and reports say. `now` is an argument."""

from statistics import fmean

from tracker.classroom.curve import Curve
from tracker.classroom.report import Doing, Report
from tracker.classroom.snapshot import SeatState, Trouble
from tracker.swarm.peer import SILENT_INTERVALS, Peer

WINDOW = 10.0  # seconds over which a rate is told
_REMEMBERED = 40.0  # seconds of rates that are kept
_FRESH = 15.0  # seconds for which a report says more than an announce


class Course:
    """One seat from its arrival on. Sizes are in bytes, moments are those of the tracker's clock."""

    __slots__ = (
        "address",
        "began",
        "done_at",
        "endpoint",
        "filled",
        "finished",
        "gone",
        "heard",
        "left",
        "left_at_first",
        "listed_name",
        "paces",
        "peer",
        "present",
        "rate",
        "rates",
        "report",
        "reported",
        "room",
        "settled",
        "state",
        "trouble",
        "worst",
    )

    def __init__(self, endpoint: bytes, address: str, heard: float) -> None:
        self.endpoint, self.address = endpoint, address
        self.room = self.listed_name = ""
        self.peer: Peer | None = None  # as last announced
        self.report: Report | None = None
        self.reported = self.heard = heard
        self.present = False
        self.finished = False  # as it said last, when it was gone before the next look
        self.gone: float | None = None  # since when it is not in the swarm
        self.left: int | None = None
        self.left_at_first = 0
        self.trouble: Trouble | None = None
        self.worst: Trouble | None = None  # the last that it had
        self.state = SeatState.CHECKING
        self.settled = False  # whether that was decided, and not merely assumed
        self._begin(heard)

    def _begin(self, at: float) -> None:
        self.began = at
        self.done_at: float | None = None
        self.left_at_first = self.left or 0
        self.paces: tuple[tuple[float, float], ...] = ()
        self.rate = 0.0  # bytes per second, over the last seconds in which it was heard of
        self.filled, self.rates = Curve(at), Curve(at)
        self.trouble = self.worst = None

    def announced(self, peer: Peer) -> None:
        """Take in where it stands in the swarm."""
        former, self.peer = self.peer, peer
        self.present, self.finished, self.gone = True, False, None
        if former is not None and former.seen == peer.seen:
            return
        self._hear(peer.seen, peer.left)
        # The first announce has no rate; and a report's is the finer one.
        if former is not None and former.identity == peer.identity and not self._reports(peer.seen):
            self._pace(peer.seen, peer.download_rate)

    def told(self, report: Report, at: float, size: int) -> None:
        """Take in what it tells of itself."""
        self.report, self.reported = report, at
        self._hear(at, max(0, size - report.done))
        if report.doing is Doing.FILLING:
            self._pace(at, report.download_rate)

    def completed(self, at: float) -> None:
        """Take in that it told of the last byte, and left before it was looked at once more."""
        self.finished = True
        self._hear(at, 0)

    def absent(self, now: float) -> None:
        """Take in that it is not, or no longer, in the swarm."""
        self.present = False
        if self.gone is None:
            self.gone = now

    def settle(self, interval: int, size: int, now: float) -> SeatState | None:
        """Decide what it does now; returns what it did before. Begins anew where it fills again."""
        before = self.state if self.settled else None
        self.state, self.settled = self._state(interval, now), True
        under_way = self.state.is_under_way
        if under_way and before is not None and not before.is_under_way:
            self._begin(self.heard)
        if self.state is SeatState.CHECKING:
            self.left_at_first = self.left or 0  # what it has already will not be delivered
        if self.state is SeatState.DONE and self.done_at is None:
            self.done_at = max(self.began, self.heard)
            if before is SeatState.CHECKING:
                self.left_at_first = min(size, self.peer.downloaded if self.peer else 0)
        if under_way:
            self.rates = self.rates.grown(now, self.rate)
        if under_way or (before is not None and before.is_under_way):
            self.filled = self.filled.grown(now, self.progress(size))
        return before

    def _state(self, interval: int, now: float) -> SeatState:
        peer, doing = self.peer, self._doing()
        if self.finished and not self.present:
            return SeatState.DONE
        if doing is Doing.DONE or (peer is not None and peer.seeding and (self.present or doing is None)):
            return SeatState.DONE
        if doing is Doing.FAILED:
            return SeatState.FAILED
        if self.state is SeatState.LEFT and not self.present and doing is None:
            return SeatState.LEFT
        keeps_pace = self.report is not None or (peer is not None and peer.keeps_interval)
        if keeps_pace and now - self.heard > SILENT_INTERVALS * interval:
            return SeatState.LOST
        if peer is not None and not self.present and doing is None:
            # One that says goodbye was heard of a moment ago.
            silent = self.state is SeatState.LOST or now - self.heard > (SILENT_INTERVALS - 1) * interval
            return SeatState.LOST if silent else SeatState.LEFT
        return SeatState.CHECKING if doing is Doing.CHECKING else SeatState.FILLING

    def _doing(self) -> Doing | None:
        """What it told of itself, where nothing newer is known."""
        if self.report is None:
            return None
        newest = 0.0 if self.peer is None else self.peer.seen
        if self.report.doing in (Doing.CHECKING, Doing.FILLING) and self.peer is not None:
            newest = max(newest, self.gone or 0.0)  # it has said goodbye since; who failed does, too
        return self.report.doing if self.reported >= newest else None

    def progress(self, size: int) -> float:
        """From 0 to 1; a client says what is left, and nothing makes it say less than the whole."""
        if self.state is SeatState.DONE:
            return 1.0
        return max(0.0, 1 - (self.left or 0) / size) if size else 0.0

    @property
    def name(self) -> str:
        """As the site's list has it, which people know, or else as it says."""
        return self.listed_name or (self.report.name if self.report is not None else "")

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.name or self.address

    @property
    def judged(self) -> bool:
        """Whether it has filled for long enough to be called slow."""
        return bool(self.paces) and self.paces[-1][0] - self.began >= WINDOW

    @property
    def took(self) -> float | None:
        """Seconds; None for one that is not done, or had all of it when it came."""
        return self.done_at - self.began if self.done_at is not None and self.left_at_first else None

    @property
    def delivered(self) -> int:
        """Bytes that came since it began."""
        return max(0, self.left_at_first - (0 if self.state is SeatState.DONE else self.left or 0))

    def call(self, trouble: Trouble | None) -> bool:
        """Note what is wrong with it; whether that is news."""
        news = trouble is not None and (self.trouble is None or self.trouble.kind is not trouble.kind)
        self.trouble = trouble
        self.worst = trouble or self.worst
        return news

    def _hear(self, at: float, left: int) -> None:
        self.heard = max(self.heard, at)
        if self.left is None:
            self.left_at_first = left
        self.left = left

    def _pace(self, at: float, rate: float) -> None:
        self.paces = (*(pace for pace in self.paces if at - pace[0] <= _REMEMBERED), (at, rate))
        self.rate = fmean([pace for then, pace in self.paces if then > at - WINDOW])

    def _reports(self, now: float) -> bool:
        return self.report is not None and now - self.reported < _FRESH
