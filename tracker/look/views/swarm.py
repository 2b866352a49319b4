"""One image: how every seat fills, how evenly, which of its parts are rare, and what has happened."""

from typing import NamedTuple

from tracker.classroom.snapshot import (
    Event,
    EventKind,
    Seat,
    SeatState,
    Snapshot,
    SwarmPicture,
    natural,
)
from tracker.look import plot
from tracker.look.troubles import told
from tracker.look.view import Cell, View
from tracker.look.views.shown import (
    Cells,
    Tile,
    copies_told,
    hint,
    needs,
    outlook,
    room_place,
    seat_place,
    share_told,
    tile,
)
from tracker.words import Words

_MOST_EVENTS = 40
_MOST_NAMED = 5  # curves of their own
_EVERY = 10.0  # seconds from one drawing of all curves to the next
_BINS = 16
_LABEL = 15  # characters
_LINE = 9  # height of a label, in percents of the plot


class Section(NamedTuple):
    """The seats of one room."""

    name: str
    href: str
    tiles: tuple[Tile, ...]


class Named(NamedTuple):
    """A seat whose curve stands out."""

    id: str
    name: str
    hint: str


def swarm(snapshot: Snapshot, name: str, words: Words) -> View | None:
    """The image of that name; None if it is not published."""
    picture = next((one for one in snapshot.swarms if one.name == name), None)
    if picture is None:
        return None
    found, cells = needs([(picture, seat) for seat in picture.seats], words)
    cells["go"] = {"copies": copies_told(picture, words), "share": share_told(picture, words)}
    sections, tiles = _sections(picture, words)
    named, curves = _curves(picture, snapshot.at, words)
    events = _events(picture.events, words)
    cells |= tiles | events
    if picture.seats:
        cells["top"] = outlook(picture.seats, snapshot.at, words)
        cells["rates"] = _rates(picture, words)
        cells["parts"] = _availability(picture, words)
        cells |= curves
    facts = {
        "name": picture.name,
        "info_hash": picture.info_hash.hex(),
        "size": words.bytes(picture.size),
        "pieces": -(-picture.size // picture.piece_length) if picture.piece_length else 0,
        "piece_length": words.bytes(picture.piece_length),
        "seeded": bool(picture.repository),
        "sections": sections,
        "named": named,
        "needs": found,
        "events": tuple(events),
        "known_parts": bool(_fullest(picture)),
    }
    return View("swarm.html", hint(picture.name), tuple(facts.items()), cells, facts)


def _sections(picture: SwarmPicture, words: Words) -> tuple[tuple[Section, ...], Cells]:
    rooms: dict[str, list[Tile]] = {}
    cells: Cells = {}
    for index, seat in enumerate(picture.seats):
        one = Tile(f"s{index}", seat.shown, hint(seat.shown), seat_place(seat.address), False)
        rooms.setdefault(seat.room, []).append(one)
        cells[one.id] = tile(seat, words)
    return (
        tuple(Section(room, room_place(room), tuple(rooms[room])) for room in sorted(rooms, key=natural)),
        cells,
    )


def _curves(picture: SwarmPicture, at: float, words: Words) -> tuple[tuple[Named, ...], Cells]:
    """All curves in one path, drawn anew every few seconds, and those of the seats that are behind."""
    start, end = _time(picture, at)
    span = plot.Span(start, end)
    behind = sorted((seat for seat in picture.seats if _is_behind(seat)), key=lambda seat: seat.progress)
    standing_out = sorted(behind[:_MOST_NAMED], key=lambda seat: -seat.progress)
    others = [seat for seat in picture.seats if seat not in standing_out]
    named = tuple(
        Named(f"k{index}", _cut(seat.shown), hint(seat.shown)) for index, seat in enumerate(standing_out)
    )
    cells: Cells = {
        "all": {
            "d@d": "".join(plot.line(seat.filled, span, 1.0, until_full=True) for seat in others),
            "end": words.span(end - start),
            "plot@aria-label": _gist(picture, standing_out, end - start, words),
        }
    }
    places = _apart([plot.height(_at(seat, end), 1.0) for seat in standing_out])
    for one, seat, place in zip(named, standing_out, places, strict=True):
        cells[one.id] = {"@d": plot.line(seat.filled, span, 1.0)}
        cells[f"{one.id}l"] = {"@y": f"{place}%"}
    return named, cells


def _cut(name: str) -> str:
    return name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…"


def _time(picture: SwarmPicture, at: float) -> tuple[float, float]:
    """From when until when the curves are drawn."""
    deployment = picture.deployment
    starts = [seat.filled.start for seat in picture.seats if seat.filled.values]
    start = deployment.began if deployment else min(starts, default=at)
    if deployment and deployment.ended is not None:
        return start, deployment.ended
    return start, max(start + _EVERY, at - (at - start) % _EVERY)


def _at(seat: Seat, moment: float) -> float:
    """How far its curve is then."""
    index = int((moment - seat.filled.start) / seat.filled.step)
    values = seat.filled.values
    return values[max(0, min(index, len(values) - 1))] if values else seat.progress


def _is_behind(seat: Seat) -> bool:
    return not seat.done and (seat.trouble is not None or not seat.state.is_under_way)


def _apart(places: list[int]) -> list[int]:
    """The places of labels, each a line's height below the one before and all within the plot."""
    spread: list[int] = []
    for place in places:
        spread.append(max(place, spread[-1] + _LINE) if spread else max(place, _LINE // 2))
    below = 100 - _LINE // 2
    for index in range(len(spread) - 1, -1, -1):
        spread[index] = min(spread[index], below)
        below = spread[index] - _LINE
    return spread


def _gist(picture: SwarmPicture, behind: list[Seat], seconds: float, words: Words) -> str:
    text = words(
        "Completion of each seat over {span}: {done} of {seats} are ready.",
        span=words.span(seconds),
        done=picture.done,
        seats=len(picture.seats),
    )
    if not behind:
        return text
    names = ", ".join(f"{hint(seat.shown)} {words.percent(seat.progress)}" for seat in behind)
    return f"{text} " + words("Behind: {names}.", names=names)


def _rates(picture: SwarmPicture, words: Words) -> Cell:
    """How many seats take in how much."""
    rates = sorted(seat.rate for seat in picture.seats if seat.state is SeatState.FILLING)
    top = plot.nice(rates[-1]) if rates else 0.0
    counts = plot.spread(rates, top, _BINS)
    most = max(counts)
    gist = words("No seat is filling.")
    if rates:
        gist = words(
            "The middle seat takes in {median}, the slowest {slowest}, the fastest {fastest}.",
            median=words.rate(rates[len(rates) // 2]),
            slowest=words.rate(rates[0]),
            fastest=words.rate(rates[-1]),
        )
    return {
        "d@d": plot.bars(counts, most),
        "end": words.rate(top),
        "most": str(most),
        "gist": gist,
        "plot@aria-label": words("Spread of rates. {gist}", gist=gist),
    }


def _fullest(picture: SwarmPicture) -> tuple[int, ...]:
    """The availability that the seat with the most peers sees."""
    reports = [seat.report for seat in picture.seats if seat.report and seat.report.availability]
    return max(reports, key=lambda report: report.peers).availability if reports else ()


def _availability(picture: SwarmPicture, words: Words) -> Cell:
    parts = _fullest(picture)
    if not parts:
        return {"gist": words("No seat has told of it.")}
    most, rarest = max(parts), min(parts)
    gist = words.plural(
        "The rarest piece is there {count} time, the most common {most} times.",
        "The rarest piece is there {count} times, the most common {most} times.",
        rarest,
        most=most,
    )
    if not rarest:
        gist = words("A piece is nowhere: without the repository the seats cannot be whole.")
    return {
        "d@d": plot.bars(parts, most),
        "most": str(most),
        "gist": gist,
        "plot@aria-label": words(
            "Copies of the pieces, from the image's start to its end. {gist}", gist=gist
        ),
    }


def _events(events: tuple[Event, ...], words: Words) -> Cells:
    """The newest first."""
    return {
        f"e{index}": {
            "@data-state": event.kind.value,
            "at": words.clock(event.at),
            "n": _event_told(event, words),
        }
        for index, event in enumerate(reversed(events[-_MOST_EVENTS:]))
    }


def _event_told(event: Event, words: Words) -> str:
    seat = hint(event.seat or event.address)
    match event.kind:
        case EventKind.BEGAN:
            return words("The deployment began.")
        case EventKind.ARRIVED:
            return words("{seat} came.", seat=seat)
        case EventKind.FINISHED:
            return words("{seat} was ready after {span}.", seat=seat, span=words.span(event.figure))
        case EventKind.LEFT:
            return words("{seat} left at {progress}.", seat=seat, progress=words.percent(event.figure))
        case EventKind.TROUBLE:
            return f"{seat}: {told(event.trouble, event.figure, words) if event.trouble else '–'}"
        case EventKind.ENDED:
            return words("The deployment ended after {span}.", span=words.span(event.figure))
