"""What share of each port's rate was used, second after second: it shows where a line idles."""

from __future__ import annotations

import json
import threading
import time
from itertools import pairwise

from benchmarks.port import TCP_HEADERS, Traffic, call
from benchmarks.room import Room

# Of the bytes on a line that is full of TCP's largest frames.
_PAYLOAD_SHARE = 1448 / 1514

# By namespace, interface, and tx or rx.
_Counters = dict[tuple[str, str, str], Traffic]


class Trace:
    """Samples all ports of a shaped room while it is entered. Payload counts, so a full line is at 100 %."""

    def __init__(self, room: Room) -> None:
        # The switch's ends of all cables: one command a switch reads both directions of every port.
        self._ports = {host.name: host.ports[1] for host in (room.repository, *room.seats)}
        self._ports |= {f"uplink{number}": uplink.inward for number, uplink in enumerate(room.uplinks, 1)}
        self._rates: dict[str, float] = {}
        self._samples: list[tuple[float, _Counters]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="trace")

    def __enter__(self) -> Trace:
        self._rates = {name: port.rate() or float("inf") for name, port in self._ports.items()}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def text(self) -> str:
        """A row for each port and direction, and in it the percentage of every second."""
        rows = []
        for name in self._ports:
            for heading, way in (("in", "tx"), ("out", "rx")):
                rows.append(f"{name + ' ' + heading:>15} {' '.join(self._shares(name, way))}")
        return "\n".join(rows)

    def _shares(self, name: str, way: str) -> list[str]:
        port, full = self._ports[name], self._rates[name] * 1e6 / 8 * _PAYLOAD_SHARE
        key = (port.namespace, port.interface, way)
        return [
            # Frames with shorter headers would make a line that is all but idle less than empty.
            f"{max(0, (after[key] - before[key]).payload(TCP_HEADERS)) / (later - earlier) / full:4.0%}"
            for (earlier, before), (later, after) in pairwise(self._samples)
        ]

    def _sample(self) -> None:
        next_moment = time.monotonic()
        is_over = False
        while not is_over:
            self._samples.append((time.monotonic(), self._counters()))
            next_moment += 1
            is_over = self._over.wait(max(0, next_moment - time.monotonic()))
        self._samples.append((time.monotonic(), self._counters()))

    def _counters(self) -> _Counters:
        counters: _Counters = {}
        for namespace in {port.namespace for port in self._ports.values()}:
            for card in json.loads(call("ip", "-j", "-s", "-n", namespace, "link", "show")):
                for way in ("tx", "rx"):
                    passed = card["stats64"][way]
                    key = (namespace, card["ifname"], way)
                    counters[key] = Traffic(passed["bytes"], passed["packets"])
        return counters
