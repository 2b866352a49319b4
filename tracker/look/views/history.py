"""What is kept of deployments: their list, and each with its seats."""

from collections.abc import Sequence
from typing import NamedTuple

from tracker.classroom.record import DeploymentRecord, DeploymentSummary, SeatRecord
from tracker.classroom.snapshot import Deployment
from tracker.look.troubles import told
from tracker.look.view import View
from tracker.look.views.shown import (
    deployment_place,
    hint,
    room_place,
    seat_place,
    state_told,
    swarm_place,
)
from tracker.words import Words

_MOST_STRAGGLERS = 6  # named in a line of the list
_DASH = "–"


class Line(NamedTuple):
    """One deployment of the list."""

    href: str
    image: str
    hint: str
    size: str
    day: str
    clock: str
    took: str
    rooms: str
    done: str
    state: str
    median: str
    last: str
    copies: str
    share: str
    stragglers: str
    more: int


class SeatLine(NamedTuple):
    """One seat of a deployment."""

    name: str
    hint: str
    href: str
    room: str
    room_href: str
    state: str
    told: str
    progress: str
    came: str
    took: str
    kind: str  # of its trouble
    trouble: str


def history(deployments: Sequence[DeploymentSummary], words: Words) -> View:
    """The deployments, in the order given."""
    lines = tuple(_line(one, words) for one in deployments)
    return View("history.html", words("History"), lines, {}, {"lines": lines})


def deployment(record: DeploymentRecord, words: Words) -> View:
    """One deployment."""
    line = _line(record.summary, words)
    seats = tuple(_seat(seat, record.deployment, words) for seat in record.seats)
    behind = tuple(
        seat
        for seat, kept in zip(seats, record.seats, strict=True)
        if kept.trouble and kept in record.stragglers
    )
    facts = {
        "line": line,
        "name": record.deployment.image,
        "image_href": swarm_place(record.deployment.image),
        "seats": seats,
        "behind": behind,
    }
    return View("deployment.html", hint(record.deployment.image), tuple(facts.items()), {}, facts)


def _line(summary: DeploymentSummary, words: Words) -> Line:
    one = summary.deployment
    named = ", ".join(hint(name) for name in summary.stragglers[:_MOST_STRAGGLERS])
    return Line(
        href=deployment_place(one.id),
        image=one.image,
        hint=hint(one.image),
        size=words.bytes(one.size),
        day=words.day(one.began),
        clock=words.clock(one.began),
        took=words.span(one.ended - one.began) if one.ended is not None else words("runs"),
        rooms=", ".join(hint(room) for room in summary.rooms),
        done=words("{done} of {seats}", done=summary.done, seats=summary.seats),
        state="filling" if one.ended is None else "done" if summary.done == summary.seats else "lost",
        median=_span(summary.median, words),
        last=_span(summary.last, words),
        copies=words.number(one.copies, 2),
        share=_DASH if one.share is None else words.percent(one.share),
        stragglers=named,
        more=max(0, len(summary.stragglers) - _MOST_STRAGGLERS),
    )


def _seat(seat: SeatRecord, of: Deployment, words: Words) -> SeatLine:
    return SeatLine(
        name=seat.shown,
        hint=hint(seat.shown),
        href=seat_place(seat.address),
        room=seat.room,
        room_href=room_place(seat.room),
        state=seat.state.value,
        told=state_told(seat.state, words),
        progress=words.percent(seat.progress),
        came=words.clock(max(seat.began, of.began)),
        took=_span(seat.took, words),
        kind=seat.trouble.kind.value if seat.trouble else "",
        trouble=told(seat.trouble, seat.progress, words) if seat.trouble else "",
    )


def _span(seconds: float | None, words: Words) -> str:
    return _DASH if seconds is None else words.span(seconds)
