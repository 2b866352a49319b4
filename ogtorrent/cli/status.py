"""A picture of swarms for a terminal: a tracker's JSON, read with suspicion and drawn line by line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ogtorrent.words import Words

LONGEST_TEXT = 300  # letters of a name or sentence
LONGEST_NAME = 20  # columns of a seat's name in its tile
LONGEST_SPAN = 366 * 24 * 3600.0  # seconds; more is no forecast
GAP = 2  # columns between tiles and between figures

UNDER_WAY = ("checking", "filling")
STYLES = {"done": "green", "filling": "cyan", "checking": "cyan", "lost": "red", "failed": "red"}
GLYPHS = {"done": "✓", "filling": "▸", "checking": "▸", "left": "○", "lost": "✗", "failed": "✗"}
ASCII_GLYPHS = {"done": "+", "filling": ">", "checking": ">", "left": "o", "lost": "x", "failed": "x"}


@dataclass(frozen=True)
class Seat:
    shown: str
    room: str
    state: str
    progress: float
    rate: float
    time_left: float | None
    trouble: str  # a sentence; empty where all is well


@dataclass(frozen=True)
class Swarm:
    """`share`: the part of what seats took that other seats gave. `ended`, `took`: the deployment's."""

    name: str
    size: float
    progress: float
    done: int
    filling: int
    lost: int
    rate: float
    copies: float
    share: float | None
    time_left: float | None
    ended: float | None
    took: float
    seats: tuple[Seat, ...]


@dataclass(frozen=True)
class Picture:
    """`unseen`: how many PCs of a room are listed and in no swarm, by its name."""

    swarms: tuple[Swarm, ...]
    unseen: Mapping[str, int]


def read(answer: object) -> Picture:
    """What `/api/v1/swarms` answers. Raises ValueError where it is nothing of the kind."""
    fields = _object(answer)
    unseen = _objects(fields, "unseen") if "unseen" in fields else ()  # a server of before has none
    return Picture(
        tuple(_swarm(swarm) for swarm in _objects(fields, "swarms")),
        Counter(plain(pc.get("room")) for pc in unseen),
    )


def _swarm(fields: Mapping[str, Any]) -> Swarm:
    deployment = fields.get("deployment")
    # Without a deployment nobody has taken any of it.
    last = {"began": 0, "copies": fields.get("copies")} if deployment is None else _object(deployment)
    began, ended = _number(last, "began"), _optional(last, "ended")
    return Swarm(
        name=plain(fields.get("name")),
        size=_number(fields, "size"),
        progress=min(1.0, _number(fields, "progress")),
        done=int(_number(fields, "done")),
        filling=int(_number(fields, "filling")),
        lost=int(_number(fields, "lost")),
        rate=_number(fields, "rate"),
        copies=_number(last, "copies"),
        share=_optional(last, "share"),
        time_left=_span(fields),
        ended=ended,
        took=max(0.0, (ended or began) - began),
        seats=tuple(_seat(seat) for seat in _objects(fields, "seats")),
    )


def _seat(fields: Mapping[str, Any]) -> Seat:
    trouble = fields.get("trouble")
    return Seat(
        shown=plain(fields.get("name") or fields.get("address")),
        room=plain(fields.get("room")),
        state=plain(fields.get("state")),
        progress=min(1.0, _number(fields, "progress")),
        rate=_number(fields, "rate"),
        time_left=_span(fields),
        trouble="" if trouble is None else plain(_object(trouble).get("told")),
    )


def plain(text: object) -> str:
    """Somebody else's words, of which nothing moves the cursor or colours the terminal."""
    if not isinstance(text, str):
        raise ValueError("a text is missing")
    return "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST_TEXT])


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object is missing")
    return value


def _objects(fields: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    if not isinstance(fields.get(key), list):
        raise ValueError(f"{key} is no list")
    return map(_object, fields[key])


def _number(fields: Mapping[str, Any], key: str) -> float:
    value = fields.get(key)
    if not isinstance(value, int | float) or not math.isfinite(value := min(value, 10**18)):
        raise ValueError(f"{key} is no number")
    return max(0.0, float(value))


def _optional(fields: Mapping[str, Any], key: str) -> float | None:
    return None if fields.get(key) is None else _number(fields, key)


def _span(fields: Mapping[str, Any]) -> float | None:
    span = _optional(fields, "time_left")
    return None if span is None or span > LONGEST_SPAN else span


@dataclass(frozen=True)
class Frame:
    """Where a picture is drawn: columns and lines, without `height` as many as it takes."""

    words: Words
    width: int
    height: int | None = None
    ascii: bool = False

    def draw(self, server: str, picture: Picture, now: float, warning: str = "") -> Text:
        """Whoever needs somebody first, then every image on its way, then the seats of each room."""
        swarms = picture.swarms
        title = self.words("Repository {server}", server=server)
        lines = [self._spread(Text(title, "bold"), Text(self._clock(now)))]
        lines += self._sentence("", warning, "bold red") if warning else ()
        lines += self._in_need(swarms)
        seated = [swarm for swarm in swarms if swarm.seats]
        for swarm in seated:
            lines += [Text(), *self._swarm(swarm, now)]
        lines += self._rooms(seated, picture.unseen)
        lines += [Text(), *self._sentence("", self._rest(len(swarms) - len(seated), len(seated)), "dim")]
        if self.height is not None and len(lines) > self.height:
            kept = max(1, self.height - 1)
            more = self.words("… and {count} more lines: the window is too low", count=len(lines) - kept)
            lines = [*lines[:kept], Text(more, "dim")]
        for line in lines:
            line.truncate(self.width, overflow="ellipsis")
        return Text("\n").join(lines)

    def _in_need(self, swarms: Sequence[Swarm]) -> list[Text]:
        several = sum(bool(swarm.seats) for swarm in swarms) > 1
        needy = [(swarm, seat) for swarm in swarms for seat in swarm.seats if seat.trouble]
        if not needy:
            return []
        title = self.words.plural("One seat needs somebody", "{count} seats need somebody", len(needy))
        lines = [Text(), Text(title, "bold yellow")]
        most = len(needy) if self.height is None else max(3, self.height // 5)
        for swarm, seat in needy[:most]:
            place = ", ".join(part for part in (seat.room, swarm.name if several else "") if part)
            who = f"{seat.shown} ({place})" if place else seat.shown
            lines += self._sentence(f"! {who}: ", seat.trouble, "yellow")
        if len(needy) > most:
            lines.append(Text(self.words("… and {count} more", count=len(needy) - most), "yellow"))
        return lines

    def _swarm(self, swarm: Swarm, now: float) -> list[Text]:
        words = self.words
        name = Text.assemble((swarm.name, "bold"), "  ", words.bytes(swarm.size))
        percent = words.percent(swarm.progress)
        bar = max(1, self.width - len(percent) - 1)
        full = int(bar * swarm.progress)
        block, rest = ("#", ".") if self.ascii else ("█", "░")
        figures = [
            self._marked("done", words("{count} done", count=swarm.done)),
            self._marked("filling", words("{count} filling", count=swarm.filling)),
        ]
        if swarm.lost:
            figures.append(self._marked("lost", words("{count} lost", count=swarm.lost)))
        if swarm.filling:
            figures.append(Text(words.rate(swarm.rate)))
        figures.append(Text(words("{copies} copies sent", copies=words.number(swarm.copies, 2))))
        if swarm.share is not None:
            figures.append(Text(words("{part} from seats", part=words.percent(min(1.0, swarm.share)))))
        return [
            self._spread(name, Text(self._when(swarm, now))),
            Text.assemble((block * full, "cyan"), (rest * (bar - full), "dim"), f" {percent}"),
            *self._flow(figures, GAP),
        ]

    def _when(self, swarm: Swarm, now: float) -> str:
        words = self.words
        if swarm.filling and swarm.time_left is not None:
            clock = self._clock(now + swarm.time_left)
            return words("{time} left, ready at {clock}", time=words.span(swarm.time_left), clock=clock)
        if swarm.filling:
            return words("time left unknown")
        if swarm.ended is not None and swarm.ended < now + LONGEST_SPAN:
            return words(
                "ended at {clock}, after {time}",
                clock=self._clock(swarm.ended),
                time=words.span(min(swarm.took, LONGEST_SPAN)),
            )
        return ""

    def _rooms(self, swarms: Sequence[Swarm], unseen: Mapping[str, int]) -> list[Text]:
        """Seats on their way or in trouble as tiles, those that are done as a count."""
        rooms: dict[tuple[str, str], list[Seat]] = {}
        for swarm in swarms:
            for seat in swarm.seats:
                rooms.setdefault((seat.room, swarm.name if len(swarms) > 1 else ""), []).append(seat)
        lines: list[Text] = []
        settled: list[Text] = []
        for names, seats in rooms.items():
            title = "  ".join(name for name in names if name) or self.words("seats")
            done = sum(seat.state == "done" for seat in seats)
            count = self.words("{done} of {count} done", done=done, count=len(seats))
            if missed := unseen.get(names[0], 0):
                count = self.words("{done}, {count} not seen", done=count, count=missed)
            heading = self._spread(Text(title, "bold"), Text(count))
            open_ones = sorted((seat for seat in seats if seat.state != "done" or seat.trouble), key=_urgency)
            if open_ones:
                lines += [Text(), heading, *self._tiles(open_ones)]
            else:
                settled.append(heading)
        return [*lines, *([Text()] if settled else []), *settled]

    def _tiles(self, seats: Sequence[Seat]) -> list[Text]:
        name = min(LONGEST_NAME, max(cell_len(seat.shown) for seat in seats))
        figures = [self._figures(seat) for seat in seats]
        wide = max(map(cell_len, figures))
        tiles = []
        for seat, told in zip(seats, figures, strict=True):
            percent = self.words.percent(seat.progress).rjust(5)
            glyph = "!" if seat.trouble and seat.state in UNDER_WAY else self._glyph(seat.state)
            style = "yellow" if glyph == "!" else STYLES.get(seat.state, "")
            shown = f"{glyph} {_cut(seat.shown, name)} {percent}  {set_cell_size(told, wide)}"
            tiles.append(Text(shown, style))
        return self._flow(tiles, GAP)

    def _figures(self, seat: Seat) -> str:
        words = self.words
        match seat.state:
            case "filling" if seat.time_left is not None:
                return f"{words.rate(seat.rate):>10}  {words.span(seat.time_left)}"
            case "filling":
                return f"{words.rate(seat.rate):>10}"
            case "checking":
                return words("checking")
            case "done":
                return words("done")
            case "left":
                return words("left early")
            case "lost":
                return words("lost")
            case "failed":
                return words("failed")
            case other:  # of a tracker to come
                return other

    def _rest(self, unseated: int, seated: int) -> str:
        words = self.words
        if unseated:
            return words.plural(
                "1 image is published that no seat asks for",
                "{count} images are published that no seat asks for",
                unseated,
            )
        return "" if seated else words("no image is published")

    def _clock(self, moment: float) -> str:
        return self.words.clock(moment).replace("\u202f", " ")  # a narrow space, which few terminals have

    def _glyph(self, state: str) -> str:
        return (ASCII_GLYPHS if self.ascii else GLYPHS).get(state, "?")

    def _marked(self, state: str, text: str) -> Text:
        return Text(f"{self._glyph(state)} {text}", STYLES[state])

    def _spread(self, left: Text, right: Text) -> Text:
        """One line, the right text at its end; the left one is cut where both do not fit."""
        left.truncate(max(8, self.width - right.cell_len - GAP), overflow="ellipsis")
        space = max(GAP, self.width - left.cell_len - right.cell_len)
        return Text.assemble(left, " " * space if right else "", right)

    def _sentence(self, start: str, text: str, style: str) -> list[Text]:
        return self._flow([Text(word, style) for word in f"{start}{text}".split()], 1)

    def _flow(self, parts: Sequence[Text], gap: int) -> list[Text]:
        """The parts one after the other, on as many lines as they take."""
        lines: list[Text] = []
        for part in parts:
            if lines and lines[-1].cell_len + gap + part.cell_len <= self.width:
                lines[-1].append(" " * gap).append_text(part)
            else:
                lines.append(part.copy())
        return lines


def _urgency(seat: Seat) -> tuple[bool, bool]:
    """Whoever needs somebody first, then who is on the way; each as the tracker orders them."""
    return not seat.trouble, seat.state not in UNDER_WAY


def _cut(text: str, width: int) -> str:
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
