"""One PC: all its images, what its hardware does, and whom it talks to."""

from collections.abc import Mapping
from typing import NamedTuple

from tracker.classroom.report import Neighbour, Report
from tracker.classroom.snapshot import Seat, Snapshot, SwarmPicture
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


class Image(NamedTuple):
    """An image of this PC, and the peers (cell ids) that it talks to for it."""

    id: str
    name: str
    hint: str
    href: str
    size: str
    ours: bool  # sends reports
    troubled: bool
    peers: tuple[str, ...]


def seat(snapshot: Snapshot, address: str, words: Words) -> View | None:
    """The PC at that address; None if it is in no swarm."""
    pairs = [
        (swarm, seat) for swarm in snapshot.swarms for seat in swarm.seats if seat.address == address
    ]
    if not pairs:
        return None
    names = _names(snapshot, words)
    cells: Cells = {"pc": _pc([seat for _, seat in pairs], words)}
    images = []
    for index, (swarm, one) in enumerate(pairs):
        id_ = f"i{index}"
        peers = _peer_cells(id_, one.report.neighbours if one.report else (), names, words)
        cells[id_] = _image_cell(swarm, one, snapshot.at, words)
        cells |= peers
        images.append(
            Image(
                id_,
                swarm.name,
                hint(swarm.name),
                swarm_place(swarm.name),
                words.bytes(swarm.size),
                one.report is not None,
                one.trouble is not None,
                tuple(peers),
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
    reports = [seat.report for seat in seats if seat.report]
    report = reports[0] if reports else None
    size = report.cache_size if report else None
    free = report.cache_free if report else None
    used = max(0, size - free) / size if size and free is not None else 0.0
    link, disk = (report.link, report.disk_rate) if report else (None, None)
    waits = report.disk_waits if report else None
    return {
        "seen": words("{span} ago", span=span_left(min(seat.seen_ago for seat in seats), words)),
        "link": _DASH if link is None else words("{rate} Mbit/s", rate=words.number(link)),
        "disk": _DASH if disk is None else words.rate(disk),
        "waits": _DASH if waits is None else words.percent(waits),
        "in": _reachable(report, words),
        "free": _DASH if free is None else words.bytes(free),
        "size": _DASH if size is None else words.bytes(size),
        "b@value": percent_value(used),
        "down": words.rate(sum(seat.download_rate for seat in seats)),
        "up": words.rate(sum(seat.upload_rate for seat in seats)),
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
        "down": words.rate(seat.download_rate),
        "up": words.rate(seat.upload_rate),
        "got": words.bytes(seat.downloaded),
        "gave": words.bytes(seat.uploaded),
        "t": _time(seat, words),
        "peers": str(seat.report.peers) if seat.report else _DASH,
        "w": told(seat.trouble, words) if seat.trouble else "",
        "line@d": plot.line(seat.rates, span, top),
        "area@d": plot.area(seat.rates, span, top),
        "top": words.rate(top),
        "from": words.clock(seat.rates.start),
        "to": words.clock(at),
        "plot@aria-label": words(
            "Download rate of {image} over time: now {rate}, at most {most}.",
            image=hint(swarm.name),
            rate=words.rate(seat.download_rate),
            most=words.rate(max(seat.rates.values, default=0.0)),
        ),
    }


def _time(seat: Seat, words: Words) -> str:
    if seat.took is not None:
        return words("ready in {span}", span=words.span(seat.took))
    if seat.time_left is not None and seat.state.is_under_way:
        return words("{span} left", span=span_left(seat.time_left, words))
    return ""


def _peer_cells(
    image: str,
    neighbours: tuple[Neighbour, ...],
    names: Mapping[tuple[str, int], str],
    words: Words,
) -> Cells:
    """The busiest first; who stands in which line changes, how many lines there are does not."""
    busiest = sorted(neighbours, key=lambda one: -(one.down + one.up))
    return {
        f"{image}p{index}": {
            "who": names.get((one.address, one.port)) or one.address,
            "who@href": seat_place(one.address),
            "down": words.rate(one.down),
            "up": words.rate(one.up),
        }
        for index, one in enumerate(busiest)
    }
