"""Peers in columns, a row each: as Python objects they would take a kilobyte each, so they take a third."""

from array import array

from tracker.handout import ENOUGH
from tracker.swarm.peer import BESIDE_TRACKER, KEEPS_INTERVAL, SEEDING, Peer

NOBODY = 0xFFFFFFFF
MOST_STRANGERS = ENOUGH


class Pool:
    """Rows to draw from. To join or to leave takes no longer where there are many.

    `position` is the column that says where in its pool each row is.
    """

    __slots__ = ("_position", "rows")

    def __init__(self, position: "array[int]") -> None:
        self.rows = array("I")
        self._position = position

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: int) -> None:
        self._position[row] = len(self.rows)
        self.rows.append(row)

    def remove(self, row: int) -> None:
        place = self._position[row]
        moved = self.rows.pop()
        if moved != row:
            self.rows[place] = moved
            self._position[moved] = place


class Crowd:
    """The peers of a room or of a whole swarm, those that have everything apart."""

    __slots__ = ("leeching", "seeding")

    def __init__(self, position: "array[int]") -> None:
        self.leeching = Pool(position)
        self.seeding = Pool(position)

    def __len__(self) -> int:
        return len(self.leeching) + len(self.seeding)

    def pool(self, seeding: bool) -> Pool:
        return self.seeding if seeding else self.leeching


class Room(Crowd):
    """The peers of one swarm that sit together."""

    __slots__ = ("key", "swarm")

    def __init__(self, position: "array[int]", key: bytes, swarm: object) -> None:
        super().__init__(position)
        self.key = key
        self.swarm = swarm


class Roster:
    """The columns. A row that is freed is given to the next who comes."""

    def __init__(self) -> None:
        self.rooms: list[Room | None] = []
        self.endpoints4: list[bytes | None] = []
        self.endpoints6: list[bytes | None] = []
        self.identities: list[bytes] = []
        self.seen = array("d")
        self.intervals = array("H")
        # Where a row is in its room's pool and in its swarm's, and when its silence is next looked at.
        self.in_room = array("I")
        self.in_swarm = array("I")
        self.due = array("I")
        self._flags = array("B")
        self._left = array("Q")
        self._uploaded = array("Q")
        self._downloaded = array("Q")
        self._upload_rates = array("f")
        self._download_rates = array("f")
        self._strangers = array("I")
        self._free = array("I")

    def __len__(self) -> int:
        return len(self.rooms) - len(self._free)

    def is_seeding(self, row: int) -> bool:
        return bool(self._flags[row] & SEEDING)

    def keeps_interval(self, row: int) -> bool:
        return bool(self._flags[row] & KEEPS_INTERVAL)

    def new_row(self) -> int:
        if self._free:
            return self._free.pop()
        self.rooms.append(None)
        self.endpoints4.append(None)
        self.endpoints6.append(None)
        self.identities.append(b"")
        for column in (
            self.seen,
            self.intervals,
            self.in_room,
            self.in_swarm,
            self.due,
            self._flags,
            self._left,
            self._uploaded,
            self._downloaded,
            self._upload_rates,
            self._download_rates,
        ):
            column.append(0)
        self._strangers.extend((NOBODY,) * MOST_STRANGERS)
        return len(self.rooms) - 1

    def free(self, row: int) -> None:
        self.rooms[row] = None
        self.endpoints4[row] = self.endpoints6[row] = None
        self.identities[row] = b""
        self.keep_strangers(row, [])
        self._free.append(row)

    def put(self, row: int, peer: Peer, room: Room) -> None:
        self.rooms[row] = room
        self.identities[row] = peer.identity
        self.endpoints4[row] = peer.endpoint4
        self.endpoints6[row] = peer.endpoint6
        self.seen[row] = peer.seen
        self.intervals[row] = peer.interval
        self._flags[row] = peer.flags
        self._left[row] = peer.left
        self._uploaded[row] = peer.uploaded
        self._downloaded[row] = peer.downloaded
        self._upload_rates[row] = peer.upload_rate
        self._download_rates[row] = peer.download_rate

    def get(self, row: int) -> Peer:
        room = self.rooms[row]
        assert room is not None
        flags = self._flags[row]
        return Peer(
            self.identities[row],
            self.endpoints4[row],
            self.endpoints6[row],
            room.key,
            bool(flags & BESIDE_TRACKER),
            bool(flags & SEEDING),
            self._left[row],
            self._uploaded[row],
            self._downloaded[row],
            self._upload_rates[row],
            self._download_rates[row],
            self.seen[row],
            self.intervals[row],
            bool(flags & KEEPS_INTERVAL),
        )

    def strangers_of(self, row: int) -> "array[int]":
        """The peers of other rooms that it was given; they may be gone, and others in their rows."""
        return self._strangers[MOST_STRANGERS * row : MOST_STRANGERS * (row + 1)]

    def keep_strangers(self, row: int, strangers: list[int]) -> None:
        for place in range(MOST_STRANGERS):
            kept = strangers[place] if place < len(strangers) else NOBODY
            self._strangers[MOST_STRANGERS * row + place] = kept
