"""Who gave how much: bytes by address, kept over lost and new connections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

Endpoint = tuple[str, int]

# libtorrent gives the counter of a peer that connects anew what it had before, in whole KiB
# (torrent_peer.hpp, prev_amount_download), whatever its port is now; that of one it forgot begins at zero.
ROUNDED = 1024


class Ledger:
    """Adds up counters of connections that come and go."""

    def __init__(self) -> None:
        self._open: dict[Endpoint, int] = {}
        self._closed: defaultdict[str, list[int]] = defaultdict(list)  # what each had in the end
        self._given: defaultdict[str, int] = defaultdict(int)

    def observe(self, totals: Mapping[Endpoint, int]) -> None:
        """`totals`: bytes received over each connection that is open now."""
        for endpoint, last in self._open.items():
            if endpoint not in totals or totals[endpoint] < last:  # then it went and came between two looks
                self._closed[endpoint[0]].append(last)
        for endpoint, total in totals.items():
            last = self._open.get(endpoint, -1)
            if not 0 <= last <= total:
                last = self._carried(endpoint[0], total)
            self._given[endpoint[0]] += max(0, total - last)
        self._open = dict(totals)

    def given(self) -> dict[str, int]:
        """Bytes received from each address."""
        return dict(self._given)

    def _carried(self, address: str, total: int) -> int:
        """What of a new connection's counter was counted already."""
        closed = self._closed[address]
        carried = max((last for last in closed if last - ROUNDED < total), default=0)
        if carried:
            closed.remove(carried)
        return carried
