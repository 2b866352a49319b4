"""Rows by the key that a column has for each. A dict and its numbers would be as large as all the columns."""

from array import array
from collections.abc import Sequence

_EMPTY = 0xFFFFFFFF
_FEWEST_SLOTS = 8


class Index:
    """A hash table of rows, with open addressing: each is in the first free slot from where its key says.

    The keys are in `column`, where they must stay as they are while their row is in here.
    """

    __slots__ = ("_column", "_count", "_slots")

    def __init__(self, column: Sequence[bytes | None]) -> None:
        self._column = column
        self._slots = array("I", (_EMPTY,)) * _FEWEST_SLOTS
        self._count = 0

    def find(self, key: bytes) -> int | None:
        """The row whose key this is."""
        slots, column = self._slots, self._column
        mask = len(slots) - 1
        slot = hash(key) & mask
        while (row := slots[slot]) != _EMPTY:
            if column[row] == key:
                return row
            slot = (slot + 1) & mask
        return None

    def add(self, row: int) -> None:
        """Take in a row whose key is in the column, and of no other row here."""
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            rows = [held for held in self._slots if held != _EMPTY]
            self._slots = array("I", (_EMPTY,)) * (2 * len(self._slots))
            for held in rows:
                self._put(held)
        self._put(row)

    def remove(self, row: int) -> None:
        """Take out a row that is in here, whose key is still in the column."""
        slots, column = self._slots, self._column
        mask = len(slots) - 1
        gap = hash(column[row]) & mask
        while slots[gap] != row:
            gap = (gap + 1) & mask
        self._count -= 1
        # Who stands behind the gap because it was taken moves into it.
        slot = gap
        while (held := slots[slot := (slot + 1) & mask]) != _EMPTY:
            home = hash(column[held]) & mask
            if (slot - home) & mask >= (slot - gap) & mask:
                slots[gap] = held
                gap = slot
        slots[gap] = _EMPTY

    def _put(self, row: int) -> None:
        slots = self._slots
        mask = len(slots) - 1
        slot = hash(self._column[row]) & mask
        while slots[slot] != _EMPTY:
            slot = (slot + 1) & mask
        slots[slot] = row
