"""What several pages show alike: places, states, tiles, who needs somebody, and how it goes on the whole."""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from tracker.classroom.snapshot import Seat, SeatState, SwarmPicture, TroubleKind, natural
from tracker.look.troubles import brief, told
from tracker.look.view import Cell
from tracker.words import Words

_LONGEST_HINT = 200  # characters of a `title`, which nobody scrolls
_MOST_NEEDS = 6  # that stand open; the others are folded in

Cells = dict[str, Cell]


def room_place(name: str) -> str:
    return f"/rooms/{quote(name)}"


def seat_place(address: str) -> str:
    return f"/seats/{quote(address, safe=':')}"


def swarm_place(name: str) -> str:
    return f"/swarms/{quote(name)}"


def deployment_place(name: str) -> str:
    return f"/history/{quote(name, safe='')}"


def hint(text: str) -> str:
    """What a pointer that rests on a name reads of it."""
    return text if len(text) <= _LONGEST_HINT else f"{text[: _LONGEST_HINT - 1]}…"


def mark(seat: Seat) -> str:
    """How a seat is drawn: its state, or that it is slow in it."""
    if seat.state.is_under_way and (seat.trouble or seat.late):
        return "slow"
    return seat.state.value


def state_told(state: SeatState, words: Words) -> str:
    """The state in a word."""
    match state:
        case SeatState.CHECKING:
            return words("checking")
        case SeatState.FILLING:
            return words("filling")
        case SeatState.DONE:
            return words("ready")
        case SeatState.LEFT:
            return words("left")
        case SeatState.LOST:
            return words("lost")
        case SeatState.FAILED:
            return words("failed")


def span_left(seconds: float | None, words: Words) -> str:
    """In steps of five seconds: a figure that changes each second tells nothing more."""
    if seconds is None:
        return ""
    if 20 <= seconds < 100:
        seconds = round(seconds / 5) * 5
    return words.span(seconds)


def goes_on(seats: Sequence[Seat], left: float | None, at: float, words: Words) -> str:
    """How long it takes yet, or how it stands."""
    if left is not None:
        clock = words.clock(at + left)
        return words("{span} left, ready at {clock}", span=span_left(left, words), clock=clock)
    if any(seat.state.is_under_way for seat in seats):
        return words("stands still")
    return words("ready") if all(seat.done for seat in seats) else words("not whole everywhere")


def lost_mark(count: int) -> str:
    """How a count of lost seats is drawn: nobody shall be alarmed by a 0."""
    return "lost" if count else "none"


def percent_value(part: float) -> str:
    """For the `value` of a bar of 100."""
    return str(int(part * 100))


def copies_told(swarm: SwarmPicture, words: Words) -> str:
    return words.number(swarm.deployment.copies if swarm.deployment else swarm.copies, 2)


def share_told(swarm: SwarmPicture, words: Words) -> str:
    share = swarm.deployment.share if swarm.deployment else None
    return "–" if share is None else words.percent(share)


class Tile(NamedTuple):
    """A seat of a seat map; what changes of it stands in its cell."""

    id: str
    name: str
    hint: str
    href: str  # empty for a PC that has not been seen
    image: bool  # whether it says which image it speaks of


def tile(seat: Seat, words: Words) -> Cell:
    """The cell of a tile: state, percents (`p`), bar (`b`), note (`n`), span (`t`) and warning (`w`)."""
    note = state_told(seat.state, words)
    span = ""
    if seat.state is SeatState.DONE and seat.took is not None:
        span = words("in {span}", span=words.span(seat.took))
    elif seat.state.is_under_way:
        if seat.state is SeatState.FILLING:
            note = words.rate(seat.rate)
        if seat.time_left is not None:
            span = span_left(seat.time_left, words)
    warning = ""
    if seat.trouble:
        warning = brief(seat.trouble, words)
    elif seat.late and seat.state.is_under_way:
        warning = words("late to announce")
    return {
        "@data-state": mark(seat),
        "p": words.percent(seat.progress),
        "b@value": percent_value(seat.progress),
        "n": note,
        "t": span,
        "w": warning,
    }


def unseen_tile(words: Words) -> Cell:
    """The cell of a PC that is listed in the room, and in no swarm."""
    return {"@data-state": "unseen", "p": "", "b@value": "0", "n": words("not seen"), "t": "", "w": ""}


class Need(NamedTuple):
    """A seat that somebody should walk to; its cell has the sentence (`w`)."""

    id: str
    name: str
    hint: str
    href: str
    room: str
    room_href: str
    image: str
    image_href: str
    kind: str  # of its trouble


class Needs(NamedTuple):
    """The worst first; `more` is folded in."""

    first: tuple[Need, ...]
    more: tuple[Need, ...]

    @property
    def total(self) -> int:
        return len(self.first) + len(self.more)


def needs(pairs: Iterable[tuple[SwarmPicture, Seat]], words: Words) -> tuple[Needs, Cells]:
    """Who needs somebody, and the cells for it."""
    troubled = [(swarm, seat, seat.trouble) for swarm, seat in pairs if seat.trouble]
    troubled.sort(key=lambda one: (_BADNESS[one[2].kind], natural(one[1].room), natural(one[1].shown)))
    found = tuple(
        Need(
            f"n{index}",
            seat.shown,
            hint(seat.shown),
            seat_place(seat.address),
            seat.room,
            room_place(seat.room),
            swarm.name,
            swarm_place(swarm.name),
            trouble.kind.value,
        )
        for index, (swarm, seat, trouble) in enumerate(troubled)
    )
    cells: Cells = {
        need.id: {"w": told(trouble, seat.progress, words)}
        for need, (_, seat, trouble) in zip(found, troubled, strict=True)
    }
    # One line more takes no more room than the word of it.
    most = _MOST_NEEDS if len(found) > _MOST_NEEDS + 1 else len(found)
    return Needs(found[:most], found[most:]), cells


# Who will not be ready by itself comes before who is only slow.
_BADNESS = {
    kind: place
    for place, kind in enumerate(
        (
            TroubleKind.FAILED,
            TroubleKind.CACHE_FULL,
            TroubleKind.LOST,
            TroubleKind.SLOW_PORT,
            TroubleKind.FLAT_RATE,
            TroubleKind.SLOW_DISK,
            TroubleKind.UNREACHABLE,
            TroubleKind.SLOW,
        )
    )
}


def outlook(seats: Sequence[Seat], at: float, words: Words) -> Cell:
    """How it goes on the whole: a headline (`h`), a line below it (`s`), counts, a rate and a bar."""
    done = sum(seat.done for seat in seats)
    filling = [seat for seat in seats if seat.state.is_under_way]
    lost = len(seats) - done - len(filling)
    headline, below = _headline(done, filling, lost, at, words)
    progress = sum(seat.progress for seat in seats) / len(seats) if seats else 0.0
    return {
        "h": headline,
        "s": below,
        "done": str(done),
        "filling": str(len(filling)),
        "lost": str(lost),
        "lost@data-state": lost_mark(lost),
        "r": words.rate(sum(seat.rate for seat in filling)),
        "p": words.percent(progress),
        "b@value": percent_value(progress),
    }


def _headline(done: int, filling: Sequence[Seat], lost: int, at: float, words: Words) -> tuple[str, str]:
    spans = [seat.time_left for seat in filling if seat.time_left is not None]
    ready = words.plural("{count} seat is ready", "{count} seats are ready", done)
    if not filling:
        if lost:
            text = words.plural(
                "{count} seat will not be ready by itself",
                "{count} seats will not be ready by themselves",
                lost,
            )
            return text, ready
        return (words("All seats are ready") if done else words("No seat is filling"), ready if done else "")
    still = words.plural("{count} seat fills", "{count} seats fill", len(filling))
    stuck = len(filling) - len(spans)
    if stuck:
        standing = words.plural("{count} seat stands still", "{count} seats stand still", stuck)
        if not spans:
            return standing, f"{still}, {ready}"
        others = words(
            "the others are ready in {span}, at {clock}",
            span=span_left(max(spans), words),
            clock=words.clock(at + max(spans)),
        )
        return standing, f"{still}, {others}"
    below = words("at {clock}", clock=words.clock(at + max(spans)))
    if len(spans) > 2:
        half = span_left(statistics.median(spans), words)
        below = words("{at}; half of those that fill, in {span}", at=below, span=half)
    return words("The last seat is ready in {span}", span=span_left(max(spans), words)), below
