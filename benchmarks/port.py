"""One end of a cable: how fast it lets frames out, and what it has let out so far."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NAMESPACES = Path("/run/netns")
# Frames in 64 KiB, the largest segment that TCP makes.
LARGEST_SEGMENT = 44
# Ethernet 14, IPv4 20, and TCP 20 with 12 of timestamps or UDP 8.
TCP_HEADERS = 66
UDP_HEADERS = 42


class RoomError(Exception):
    """A room could not be made, changed or asked; the message says which command failed, and how."""


@dataclass(frozen=True)
class Traffic:
    """What a port has let out. The headers of every frame are in `bytes`.

    An unshaped port counts segments of many frames in place of frames, each with the one header that it has
    in memory. So the payload is the same sum either way.
    """

    bytes: int
    frames: int

    def __sub__(self, before: Traffic) -> Traffic:
        return Traffic(self.bytes - before.bytes, self.frames - before.frames)

    def payload(self, headers: int) -> int:
        """Bytes without headers, where every frame has `headers` bytes of them."""
        return self.bytes - headers * self.frames


@dataclass(frozen=True)
class Port:
    """One end of a cable: an interface in a namespace, and the bytes that may queue for it."""

    namespace: str
    interface: str
    queue: int

    def shape(self, rate: float | None) -> None:
        """Let at most `rate` Mbit/s out; None lets everything out."""
        # A veth hands on segments of up to 64 KiB where a cable carries frames of 1.5 KB. At 100 Mbit/s each
        # would hold the port for 5 ms on every hop; frame by frame, eight such hosts spend this machine's two
        # cores on waking each other up. In between, as cards that gather interrupts: a millisecond's worth.
        gro = "on" if rate is None else "off"
        call(*inside(self.namespace), "ethtool", "-K", self.interface, "tso", "on", "gso", "on", "gro", gro)
        segments = ["gso_max_segs", str(LARGEST_SEGMENT if rate is None else frames_at_once(rate))]
        call("ip", "-n", self.namespace, "link", "set", "dev", self.interface, *segments)
        # Deleting a qdisc that is not there is an error, and replacing one leaves its queue as it was.
        root = ["dev", self.interface, "root"]
        if call("tc", "-n", self.namespace, "qdisc", "show", *root).startswith("qdisc tbf"):
            call("tc", "-n", self.namespace, "qdisc", "del", *root)
        if rate is not None:
            # Its counter starts at zero: whoever measures sets the rate before.
            bucket = ["tbf", "rate", f"{round(rate * 1000)}kbit", "burst", str(burst(rate))]
            call("tc", "-n", self.namespace, "qdisc", "add", *root, *bucket, "limit", str(self.queue))

    def traffic(self) -> Traffic:
        """What left through this port."""
        # The shaper counts what a segment weighs once it is cut into frames; the card does not.
        for qdisc in json.loads(call("tc", "-n", self.namespace, "-j", "-s", "qdisc", "show", *self._device)):
            if qdisc["kind"] == "tbf":
                return Traffic(qdisc["bytes"], qdisc["packets"])
        (card,) = json.loads(call("ip", "-j", "-s", "-n", self.namespace, "link", "show", *self._device))
        return Traffic(card["stats64"]["tx"]["bytes"], card["stats64"]["tx"]["packets"])

    def rate(self) -> float | None:
        """The Mbit/s that it lets out; None where it lets everything out."""
        for qdisc in json.loads(call("tc", "-n", self.namespace, "-j", "qdisc", "show", *self._device)):
            if qdisc["kind"] == "tbf":
                return float(qdisc["options"]["rate"]) * 8 / 1e6
        return None

    @property
    def _device(self) -> list[str]:
        return ["dev", self.interface]


def frames_at_once(rate: float) -> int:
    """Frames that pass a port of `rate` Mbit/s as one segment: a millisecond's worth, and at least four."""
    return min(LARGEST_SEGMENT, max(4, round(rate * 1_000_000 / 8 * 0.001 / 1514)))


def burst(rate: float) -> int:
    """Bytes that a port of `rate` Mbit/s may send at once: two milliseconds' worth, and at least ten frames.

    A timer that is late by more than this loses the difference for good, and on a busy machine they are late.
    """
    return max(15_140, round(rate * 1_000_000 / 8 * 0.002))


def call(*argv: str, script: Sequence[str] = ()) -> str:
    done = subprocess.run(argv, input="\n".join(script), capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip() or f"exit {done.returncode}"
        raise RoomError(f"{' '.join(argv)}: {reason}")
    return done.stdout


def inside(namespace: str) -> list[str]:
    return ["nsenter", f"--net={NAMESPACES / namespace}", "--"]
