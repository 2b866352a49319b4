"""One PC: all its images, what its hardware does, and whom it talks to."""

from collections.abc import Container, Mapping
from typing import NamedTuple

from tracker.classroom.report import Report
from tracker.classroom.snapshot import Seat, Snapshot, SwarmPicture, natural
from tracker.look import plot
from tracker.look.troubles import told
from tracker.look.view import Cell, View
from tracker.look.views.shown import (
    Cells,
    hint,
    mark,
    percent_value,
    room_place,
    seat_place,
    span_left,
    state_told,
    swarm_place,
)
from tracker.words import Words

_DASH = "–"


class Peer(NamedTuple):
    """Whom it talks to."""

    id: str
    name: str
    href: str  # empty for who is no seat


class Image(NamedTuple):
    """An image of this PC."""

    id: str
    name: str
    hint: str
    href: str
    size: str
    ours: bool  # sends reports
    troubled: bool
    peers: tuple[Peer, ...]


def seat(snapshot: Snapshot, address: str, words: Words) -> View | None:
    """The PC at that address; None if it is in no swarm."""
    pairs = [(swarm, seat) for swarm in snapshot.swarms for seat in swarm.seats if seat.address == address]
    if not pairs:
        return None
    names = _names(snapshot, words)
    known = {seat.address for swarm in snapshot.swarms for seat in swarm.seats}
    cells: Cells = {"pc": _pc([seat for _, seat in pairs], words)}
    images = []
    for index, (swarm, one) in enumerate(pairs):
        id_ = f"i{index}"
        peers, peer_cells = _peers(id_, one, names, known, words)
        cells[id_] = _image_cell(swarm, one, snapshot.at, words)
        if one.trouble:
            cells[id_] = {**cells[id_], "w": told(one.trouble, one.progress, words)}
        cells |= peer_cells
        images.append(
            Image(
                id_,
                swarm.name,
                hint(swarm.name),
                swarm_place(swarm.name),
                words.bytes(swarm.size),
                one.report is not None,
                one.trouble is not None,
                peers,
            )
        )
    first = next((seat for _, seat in pairs if seat.name), pairs[0][1])
    facts = {
        "name": first.shown,
        "address": first.address,
        "room": first.room,
        "room_href": room_place(first.room),
        "images": tuple(images),
        "ours": any(image.ours for image in images),
    }
    return View(
        template="seat.html",
        title=hint(first.shown),
        shape=tuple(facts.items()),
        cells=cells,
        facts=facts,
    )


def _names(snapshot: Snapshot, words: Words) -> Mapping[tuple[str, int], str]:
    """What people call each endpoint."""
    names: dict[tuple[str, int], str] = {}
    for swarm in snapshot.swarms:
        names |= {(seat.address, seat.port): seat.shown for seat in swarm.seats}
        names |= {(seat.address, seat.port): words("repository") for seat in swarm.repository}
    return names


def _pc(seats: list[Seat], words: Words) -> Cell:
    """What its latest word says of the PC itself; a dash where no client of ours says it."""
    report = next((seat.report for seat in seats if seat.report), None)
    link, disk = (report.link, report.disk_rate) if report else (None, None)
    waits = report.disk_waits if report else None
    cell = {
        "seen": words("{span} ago", span=span_left(min(seat.seen_ago for seat in seats), words)),
        "link": _DASH if link is None else words("{rate} Mbit/s", rate=words.number(link)),
        "disk": _DASH if disk is None else words.rate(disk),
        "waits": _DASH if waits is None else words.percent(waits),
        "in": _reachable(report, words),
        "down": words.rate(sum(seat.rate for seat in seats)),
        "up": words.rate(sum(seat.upload_rate for seat in seats)),
    }
    return cell | _cache(report, words) if report else cell


def _cache(report: Report, words: Words) -> dict[str, str]:
    size, free = report.cache_size, report.cache_free
    used = max(0, size - free) / size if size and free is not None else 0.0
    return {
        "free": _DASH if free is None else words.bytes(free),
        "size": _DASH if size is None else words.bytes(size),
        "b@value": percent_value(used),
    }


def _reachable(report: Report | None, words: Words) -> str:
    if report is None or report.reachable is None:
        return _DASH
    return words("yes") if report.reachable else words("no peer has connected in")


def _image_cell(swarm: SwarmPicture, seat: Seat, at: float, words: Words) -> Cell:
    top = plot.nice(max(seat.rates.values, default=0.0))
    span = plot.Span(seat.rates.start, at)
    return {
        "@data-state": mark(seat),
        "n": state_told(seat.state, words),
        "p": words.percent(seat.progress),
        "b@value": percent_value(seat.progress),
        "down": words.rate(seat.rate),
        "up": words.rate(seat.upload_rate),
        "got": words.bytes(seat.downloaded),
        "gave": words.bytes(seat.uploaded),
        "t": _time(seat, words),
        "peers": str(seat.report.peers) if seat.report else _DASH,
        "line@d": plot.line(seat.rates, span, top),
        "area@d": plot.area(seat.rates, span, top),
        "top": words.rate(top),
        "from": words.clock(seat.rates.start),
        "to": words.clock(at),
        "plot@aria-label": words(
            "Download rate of {image} over time: now {rate}, at most {most}.",
            image=hint(swarm.name),
            rate=words.rate(seat.rate),
            most=words.rate(max(seat.rates.values, default=0.0)),
        ),
    }


def _time(seat: Seat, words: Words) -> str:
    if seat.took is not None:
        return words("ready in {span}", span=words.span(seat.took))
    if seat.time_left is not None and seat.state.is_under_way:
        return words("{span} left", span=span_left(seat.time_left, words))
    return ""


def _peers(
    image: str, seat: Seat, names: Mapping[tuple[str, int], str], known: Container[str], words: Words
) -> tuple[tuple[Peer, ...], Cells]:
    """Those that it talks to most, in an order that stays."""
    peers, cells = [], Cells()
    neighbours = seat.report.neighbours if seat.report else ()
    called = [(names.get((one.address, one.port)) or one.address, one) for one in neighbours]
    called.sort(key=lambda pair: (natural(pair[0]), natural(pair[1].address), pair[1].port))
    for index, (name, one) in enumerate(called):
        place = seat_place(one.address) if one.address in known else ""
        peers.append(Peer(f"{image}p{index}", name, place))
        cells[peers[-1].id] = {"down": words.rate(one.down), "up": words.rate(one.up)}
    return tuple(peers), cells
