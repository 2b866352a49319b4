"""When the images that seats fetch are whole there."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.room import Host


class LessonError(Exception):
    """The contender did not bring the whole image to every seat; the message says to which, and why."""


@dataclass(frozen=True)
class Fetch:
    """A seat's fetching under way: over when the bell rings or, without a bell, when the process exits 0."""

    seat: Host
    process: subprocess.Popen[Any]
    bell: Path | None = None


class Arrivals:
    """Watches fetches, by the monotonic clock. A seat has arrived when all that it fetches is whole."""

    def __init__(self, last_words: Callable[[Host], str]) -> None:
        self._last_words = last_words
        self._selector = selectors.DefaultSelector()
        self._under_way: list[Fetch] = []
        self._moments: dict[str, float] = {}

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()

    def expect(self, fetch: Fetch) -> None:
        self._under_way.append(fetch)
        ends = [os.pidfd_open(fetch.process.pid)]
        if fetch.bell is not None:
            ends.append(os.open(fetch.bell, os.O_RDONLY | os.O_NONBLOCK))
        for end in ends:
            self._selector.register(end, selectors.EVENT_READ, (fetch, end == ends[0]))

    def forget(self, seat: Host) -> None:
        """What becomes of this seat's fetches from now on is no news."""
        self._under_way = [fetch for fetch in self._under_way if fetch.seat is not seat]
        for key in list(self._selector.get_map().values()):
            if key.data[0].seat is seat:
                self._drop(key.fd)

    def watch(self, until: float) -> None:
        """Watch until this moment."""
        self._watch(until, lambda: False)

    def watch_for(self, seats: Iterable[Host], until: float) -> list[float]:
        """Watch until these seats have arrived, and tell when each did; raise LessonError if one is late."""
        names = [seat.name for seat in seats]
        self._watch(until, lambda: not self._missing(names))
        if missing := self._missing(names):
            raise LessonError(f"not whole in time: {', '.join(missing)}")
        return [self._moments[name] for name in names]

    def _missing(self, names: Iterable[str]) -> list[str]:
        waiting = {fetch.seat.name for fetch in self._under_way}
        return [name for name in names if name in waiting or name not in self._moments]

    def _watch(self, until: float, enough: Callable[[], bool]) -> None:
        while not enough() and (left := until - time.monotonic()) > 0:
            happened = self._selector.select(left)
            now = time.monotonic()
            for key, _ in happened:
                fetch, is_exit = key.data
                self._drop(key.fd)
                if is_exit:
                    self._check_exit(fetch)
                if fetch in self._under_way:
                    self._under_way.remove(fetch)
                    self._moments[fetch.seat.name] = now

    def _check_exit(self, fetch: Fetch) -> None:
        code = fetch.process.wait()
        if code or (fetch.bell and fetch in self._under_way):
            raise LessonError(f"{fetch.seat.name}: ended with code {code}{self._last_words(fetch.seat)}")

    def _drop(self, end: int) -> None:
        self._selector.unregister(end)
        os.close(end)
