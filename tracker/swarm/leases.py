"""When to look whose silence: rows by the second in which each is due. One that announces is not touched."""

import heapq
from array import array
from collections.abc import Iterator

_NEVER = 0xFFFFFFFF


class Leases:
    """A calendar of rows. Only the latest date that a row was given counts; `due` is the column for it."""

    def __init__(self, due: "array[int]") -> None:
        self._due = due
        self._days: dict[int, array[int]] = {}
        self._order: list[int] = []

    def set(self, row: int, when: float) -> None:
        """Have it come up in the first whole second that is not before `when`."""
        day = max(0, -int(-when // 1))
        if day not in self._days:
            self._days[day] = array("I")
            heapq.heappush(self._order, day)
        self._days[day].append(row)
        self._due[row] = day

    def strike_out(self, row: int) -> None:
        self._due[row] = _NEVER

    def due(self, now: float) -> bool:
        """Whether any may come up."""
        return bool(self._order) and self._order[0] <= now

    def come_up(self, now: float, most: int) -> Iterator[int]:
        """At most `most` rows of those that are due. Each is struck out as it comes."""
        while most and self._order and self._order[0] <= now:
            day = self._order[0]
            rows = self._days[day]
            while rows and most:
                row = rows.pop()
                most -= 1
                if self._due[row] == day:
                    self.strike_out(row)
                    yield row
            if not rows:
                del self._days[day]
                heapq.heappop(self._order)
