"""Which seat falls behind, and why: a decision over what is known of it and of its room."""

from collections.abc import Iterable, Sequence
from statistics import median

from tracker.classroom.course import Course
from tracker.classroom.snapshot import SeatState, Trouble, TroubleKind

SLOW = 0.5  # part of the room's median below which a seat is a straggler
_ENOUGH = 3  # seats that make a median
_SLOW_PORTS = (10, 100)  # Mbit/s: what a bad cable or socket falls back to
_CACHE_FULL = 16  # exit code of OpenGnsys
_DISK_WAITS = 0.5  # part of the time
# What of a port's rate is left for an image below Ethernet, IP, TCP and BitTorrent.
_PAYLOAD = (0.85, 0.975)
_FLAT = 0.15  # of the mean, between the fastest and the slowest of some seconds
_LOOKS = 4


def median_rate(seats: Iterable[Course], size: int) -> float | None:
    """What is usual in a room, in bytes per second; None where too few seats say anything."""
    rates = []
    for seat in seats:
        if seat.state is SeatState.DONE and seat.took:
            rates.append(min(size, seat.left_at_first) / seat.took)
        elif seat.state is SeatState.FILLING and seat.judged:
            rates.append(seat.rate)
    return median(rates) if len(rates) >= _ENOUGH else None


def trouble_of(seat: Course, usual: float | None, now: float) -> Trouble | None:
    """Why somebody may have to walk to this seat; None where nobody need."""
    report = seat.report
    if seat.state is SeatState.FAILED and report is not None:
        if report.error_code == _CACHE_FULL:
            return Trouble(TroubleKind.CACHE_FULL, report.cache_free or 0, report.error)
        return Trouble(TroubleKind.FAILED, report.error_code or 0, report.error)
    if seat.state is SeatState.LOST:
        return Trouble(TroubleKind.LOST, max(0.0, now - seat.heard))
    if seat.state is SeatState.FILLING and seat.judged and usual and seat.rate < SLOW * usual:
        return _cause(seat, usual)
    return None


def _cause(seat: Course, usual: float) -> Trouble:
    report = seat.report
    if report is not None:
        if report.link in _SLOW_PORTS and report.link * 1e6 / 8 < usual:
            return Trouble(TroubleKind.SLOW_PORT, report.link)
        if report.disk_waits is not None and report.disk_waits >= _DISK_WAITS:
            return Trouble(TroubleKind.SLOW_DISK, report.disk_rate or seat.rate)
    ceiling = flat_ceiling([rate for _, rate in seat.paces])
    if ceiling is not None:
        return Trouble(TroubleKind.FLAT_RATE, ceiling)
    if report is not None and report.reachable is False:
        return Trouble(TroubleKind.UNREACHABLE)
    return Trouble(TroubleKind.SLOW, seat.rate / usual)


def flat_ceiling(rates: Sequence[float]) -> int | None:
    """The slow port, in Mbit/s, that these rates (bytes per second) look like: flat, and just below it."""
    rates = rates[-_LOOKS:]
    if len(rates) < _LOOKS:
        return None
    mean = sum(rates) / len(rates)
    if max(rates) - min(rates) > _FLAT * mean:
        return None
    low, high = _PAYLOAD
    for port in _SLOW_PORTS:
        if low * port <= mean * 8 / 1e6 <= high * port:
            return port
    return None
