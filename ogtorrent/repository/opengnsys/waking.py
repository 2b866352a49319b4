"""Wake-on-LAN: a magic packet into every network that this host is in, so that each room's PCs hear it."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import wakeonlan

from ogtorrent.words import words

_HARDWARE_ADDRESS = re.compile(r"[0-9a-f]{12}", re.IGNORECASE)
_SEPARATORS = str.maketrans("", "", ":-.")


@dataclass(frozen=True)
class Segment:
    """A network that this host is in: the address at which everybody there hears it, and its own."""

    broadcast: str
    own: str | None


def segments() -> list[Segment]:
    """Of every interface that is up; where none can broadcast, wherever the default route leads."""
    up = {name for name, status in psutil.net_if_stats().items() if status.isup}
    found = {
        address.broadcast: Segment(address.broadcast, address.address)
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if name in up and address.family == socket.AF_INET and address.broadcast not in (None, "0.0.0.0")
    }
    return list(found.values()) or [Segment(wakeonlan.BROADCAST_IP, None)]


def hardware_address(text: str) -> str | None:
    """`00:1b:...` of an address with colons, hyphens, dots or nothing in it; None of what is none."""
    digits = text.translate(_SEPARATORS)
    if _HARDWARE_ADDRESS.fullmatch(digits) is None:
        return None
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def wake(macs: Sequence[str], into: Sequence[Segment]) -> tuple[list[str], list[str]]:
    """Send each a packet into each network; what was sent and what could not be, a line each."""
    sent: list[str] = []
    failed: list[str] = []
    for segment in into:
        try:
            wakeonlan.wake(*macs, host=segment.broadcast, interface=segment.own)
        except OSError as error:
            failed.append(
                words(
                    "No packet could be sent to {address}: {why}",
                    address=segment.broadcast,
                    why=error.strerror or error,
                )
            )
            continue
        port = wakeonlan.DEFAULT_PORT
        sent += [f"Sending magic packet to {segment.broadcast}:{port} with {mac}" for mac in macs]
    return sent, failed
