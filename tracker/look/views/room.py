"""One room: its seat map, a tile for each PC."""

from collections import Counter
from typing import NamedTuple

from tracker.classroom.snapshot import Named, RoomPicture, Seat, Snapshot, SwarmPicture, by_seat
from tracker.look.view import Cell, View
from tracker.look.views.shown import (
    Cells,
    Tile,
    hint,
    needs,
    outlook,
    percent_value,
    seat_place,
    swarm_place,
    tile,
    unseen_tile,
)
from tracker.words import Words

Pair = tuple[SwarmPicture, Seat]


class ImageRow(NamedTuple):
    """An image that this room gets."""

    id: str
    name: str
    hint: str
    href: str
    size: str


def room(snapshot: Snapshot, name: str, words: Words) -> View | None:
    """The room of that name; None if nobody sits in it, nor is listed there."""
    picture = next((one for one in snapshot.rooms if one.name == name), None)
    if picture is None:
        return None
    found, cells = needs(picture.seats, words)
    cells["top"] = outlook([seat for _, seat in picture.seats], snapshot.at, words)
    swarms = tuple(swarm for swarm in snapshot.swarms if any(seat.room == name for seat in swarm.seats))
    images = _images(swarms, words)
    cells |= _image_cells(images, swarms, name, words)
    tiles, tile_cells = _seat_map(picture, len(images) > 1, words)
    cells |= tile_cells
    facts = {
        "name": name,
        "tiles": tiles,
        "images": images,
        "needs": found,
        "unseen": len(picture.unseen),
    }
    return View(
        template="room.html",
        title=name,
        shape=tuple(facts.items()),
        cells=cells,
        facts=facts,
    )


def _seat_map(picture: RoomPicture, several: bool, words: Words) -> tuple[tuple[Tile, ...], Cells]:
    """Who sits there and who is missed, as people count PCs; `several`: the room gets more than one image."""
    shown: list[tuple[Named, str, Cell, str]] = [(pc, "", unseen_tile(words), "") for pc in picture.unseen]
    for pairs in _pcs(picture):
        swarm, seat = min(pairs, key=_urgency)
        shown.append((seat, seat_place(seat.address), tile(seat, words), _of(swarm, len(pairs), words)))
    tiles: list[Tile] = []
    cells: Cells = {}
    for pc, href, cell, image in sorted(shown, key=lambda one: by_seat(one[0])):
        one = Tile(f"s{len(tiles)}", pc.shown, hint(pc.shown), href, several)
        tiles.append(one)
        cells[one.id] = {**cell, "i": image} if several else cell
    return tuple(tiles), cells


def _pcs(picture: RoomPicture) -> list[list[Pair]]:
    """The seats of each PC. Two clients of one address in one swarm are two PCs behind one router."""
    pcs: dict[tuple[str, str, int], list[Pair]] = {}
    met: Counter[tuple[str, str, bytes]] = Counter()
    for swarm, seat in picture.seats:
        twin = (seat.address, seat.name, swarm.info_hash)
        pcs.setdefault((seat.address, seat.name, met[twin]), []).append((swarm, seat))
        met[twin] += 1
    return list(pcs.values())


def _urgency(pair: Pair) -> tuple[bool, bool, bool, str]:
    """Which of its images a PC's tile speaks of: one in trouble, one that fills, one that is not whole."""
    swarm, seat = pair
    return (seat.trouble is None, not seat.state.is_under_way, seat.done, swarm.name)


def _of(swarm: SwarmPicture, images: int, words: Words) -> str:
    name = hint(swarm.name.rpartition("/")[2])
    return words("{image} and {count} more", image=name, count=images - 1) if images > 1 else name


def _images(swarms: tuple[SwarmPicture, ...], words: Words) -> tuple[ImageRow, ...]:
    return tuple(
        ImageRow(
            f"m{index}",
            swarm.name,
            hint(swarm.name),
            swarm_place(swarm.name),
            words.bytes(swarm.size),
        )
        for index, swarm in enumerate(swarms)
    )


def _image_cells(
    images: tuple[ImageRow, ...], swarms: tuple[SwarmPicture, ...], name: str, words: Words
) -> Cells:
    cells: Cells = {}
    for image, swarm in zip(images, swarms, strict=True):
        seats = [seat for seat in swarm.seats if seat.room == name]
        progress = sum(seat.progress for seat in seats) / len(seats)
        cells[image.id] = {
            "done": words("{done} of {seats} ready", done=sum(seat.done for seat in seats), seats=len(seats)),
            "p": words.percent(progress),
            "b@value": percent_value(progress),
        }
    return cells
