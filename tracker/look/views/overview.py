"""The first page: every room and every image that is on its way, and who needs somebody."""

from typing import NamedTuple

from tracker.classroom.snapshot import RoomPicture, Snapshot, SwarmPicture
from tracker.look import plot
from tracker.look.view import Cell, View
from tracker.look.views.shown import (
    Cells,
    copies_told,
    goes_on,
    hint,
    lost_mark,
    needs,
    outlook,
    percent_value,
    room_place,
    share_told,
    swarm_place,
)
from tracker.words import Words

_MOST_QUIET = 200  # images without a seat that are listed


class Card(NamedTuple):
    """An image that has seats."""

    id: str
    name: str
    hint: str
    href: str
    size: str
    seeded: bool


class Row(NamedTuple):
    """A room."""

    id: str
    name: str
    href: str


class QuietRoom(NamedTuple):
    """A room none of whose PCs has been seen."""

    name: str
    href: str
    pcs: int


class Quiet(NamedTuple):
    """An image that no seat asks for."""

    name: str
    hint: str
    href: str
    size: str
    seeded: bool


def overview(snapshot: Snapshot, words: Words) -> View:
    """The picture on one page."""
    busy = [swarm for swarm in snapshot.swarms if swarm.seats]
    idle = [swarm for swarm in snapshot.swarms if not swarm.seats]
    pairs = [(swarm, seat) for swarm in busy for seat in swarm.seats]
    found, cells = needs(pairs, words)
    cells["top"] = outlook([seat for _, seat in pairs], snapshot.at, words)
    cards = tuple(_card(f"c{index}", swarm, words) for index, swarm in enumerate(busy))
    cells |= {card.id: _card_cell(swarm, snapshot.at, words) for card, swarm in zip(cards, busy, strict=True)}
    pictures = snapshot.rooms
    seated = tuple(room for room in pictures if room.seats)
    rooms = tuple(Row(f"r{index}", room.name, room_place(room.name)) for index, room in enumerate(seated))
    cells |= _room_cells(rooms, seated, snapshot.at, words)
    quiet_rooms = tuple(
        QuietRoom(room.name, room_place(room.name), len(room.unseen)) for room in pictures if not room.seats
    )
    quiet = tuple(
        Quiet(
            swarm.name,
            hint(swarm.name),
            swarm_place(swarm.name),
            words.bytes(swarm.size),
            bool(swarm.repository),
        )
        for swarm in idle[:_MOST_QUIET]
    )
    return View(
        template="overview.html",
        title=words("Classrooms"),
        shape=(cards, rooms, quiet_rooms, quiet, len(idle), found),
        cells=cells,
        facts={
            "cards": cards,
            "rooms": rooms,
            "quiet_rooms": quiet_rooms,
            "quiet": quiet,
            "quiet_count": len(idle),
            "needs": found,
            "interval": snapshot.interval,
        },
    )


def _card(id_: str, swarm: SwarmPicture, words: Words) -> Card:
    return Card(
        id_,
        swarm.name,
        hint(swarm.name),
        swarm_place(swarm.name),
        words.bytes(swarm.size),
        bool(swarm.repository),
    )


def _card_cell(swarm: SwarmPicture, at: float, words: Words) -> Cell:
    curve = swarm.filled
    ended = swarm.deployment.ended if swarm.deployment else None
    span = plot.Span(curve.start, ended or at)
    return {
        "@data-state": _state(swarm),
        "done": str(swarm.done),
        "filling": str(swarm.filling),
        "lost": str(swarm.lost),
        "lost@data-state": lost_mark(swarm.lost),
        "r": words.rate(swarm.rate),
        "copies": copies_told(swarm, words),
        "share": share_told(swarm, words),
        "t": _goes_on(swarm, at, words),
        "p": words.percent(swarm.progress),
        "b@value": percent_value(swarm.progress),
        "line@d": plot.line(curve, span, 1.0),
        "area@d": plot.area(curve, span, 1.0),
    }


def _state(swarm: SwarmPicture) -> str:
    if swarm.filling:
        return "filling"
    return "lost" if swarm.lost else "done"


def _goes_on(swarm: SwarmPicture, at: float, words: Words) -> str:
    deployment = swarm.deployment
    if swarm.done == len(swarm.seats) and deployment and deployment.ended is not None:
        return words("ready in {span}", span=words.span(deployment.took(deployment.ended)))
    return goes_on(swarm.seats, swarm.time_left, at, words)


def _room_cells(rooms: tuple[Row, ...], pictures: tuple[RoomPicture, ...], at: float, words: Words) -> Cells:
    cells: Cells = {}
    for row, room in zip(rooms, pictures, strict=True):
        seats = [seat for _, seat in room.seats]
        done = sum(seat.done for seat in seats)
        filling = sum(seat.state.is_under_way for seat in seats)
        lost = len(seats) - done - filling
        cells[row.id] = {
            "@data-state": "filling" if filling else "lost" if lost else "done",
            "done": str(done),
            "filling": str(filling),
            "lost": str(lost),
            "lost@data-state": lost_mark(lost),
            "p": words.percent(room.progress),
            "b@value": percent_value(room.progress),
            "t": goes_on(seats, room.time_left, at, words),
            "unseen": words.plural("{count} not seen", "{count} not seen", len(room.unseen))
            if room.unseen
            else "",
        }
    return cells
