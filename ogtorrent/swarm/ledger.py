"""Who gave how much: bytes by peer, kept over lost and new connections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

Endpoint = tuple[str, int]


class Ledger:
    """Adds up counters that start at zero again whenever a peer connects anew."""

    def __init__(self) -> None:
        self._last: dict[Endpoint, int] = {}
        self._given: defaultdict[str, int] = defaultdict(int)

    def observe(self, totals: Mapping[Endpoint, int]) -> None:
        """`totals`: bytes received over each connection that is open now."""
        for endpoint, total in totals.items():
            last = self._last.get(endpoint, 0)
            self._given[endpoint[0]] += total - last if total >= last else total
        self._last = dict(totals)

    def given(self) -> dict[str, int]:
        """Bytes received from each address."""
        return dict(self._given)
