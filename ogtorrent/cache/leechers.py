"""The session of those that only take."""

from __future__ import annotations

import contextlib

from ogtorrent.swarm import policy
from ogtorrent.swarm.session import Session


class Leechers:
    """Opened when the first one comes."""

    def __init__(self, address: str, stack: contextlib.AsyncExitStack) -> None:
        self._address, self._stack = address, stack
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = Session(policy.leecher(self._address, 0))
            self._session.meet_neighbours(self._address)
            self._stack.push_async_callback(self._session.close)
        return self._session
