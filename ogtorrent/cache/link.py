"""How fast the cable is on which an address of this PC hangs, as the network card says."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from pathlib import Path

INTERFACES = Path("/sys/class/net")
INET6 = Path("/proc/net/if_inet6")
_SIOCGIFADDR, _SIOCGIFHWADDR = 0x8915, 0x8927  # <linux/sockios.h>


def speed(address: str) -> int | None:
    """Mbit/s; None where nobody can say: loopback, wireless, a second address, a virtual machine."""
    name = interface(address)
    if name is None:
        return None
    try:
        # What /sys shows may be another network namespace's, with a card of the same name.
        same = (INTERFACES / name / "address").read_text().strip() == _ask(name, _SIOCGIFHWADDR)[:6].hex(":")
    except OSError:
        return None
    return cable(INTERFACES / name) if same else None


def interface(address: str) -> str | None:
    """The interface whose own address this is.

    Asked of the kernel directly: psutil, which knows too, takes a fifth of the time that a seat needs
    to start.
    """
    wanted = ipaddress.ip_address(address.partition("%")[0])
    if wanted.version == 6:
        for line in INET6.read_text().splitlines() if INET6.exists() else ():
            digits, *_, name = line.split()
            if digits == wanted.packed.hex():
                return name
        return None
    for _, name in socket.if_nameindex():
        try:
            if _ask(name, _SIOCGIFADDR)[2:6] == wanted.packed:
                return name
        except OSError:  # it has no address, or has just gone
            continue
    return None


def cable(card: Path) -> int | None:
    """What a card of /sys/class/net says; of a bridge or a VLAN, what the fastest card below it says."""
    if (card / "device").exists():
        try:
            told = int((card / "speed").read_text())
        except (OSError, ValueError):  # wireless, or no cable in it
            return None
        return told if told > 0 else None  # -1: a virtual machine's card does not know
    # Others say something too: a veth always 10000, a tap 10.
    below = [cable(lower.resolve()) for lower in card.glob("lower_*")]
    return max((found for found in below if found is not None), default=None)


def _ask(name: str, request: int) -> bytes:
    """The address that an ioctl of netdevice(7) tells, from its family's data on. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, request, struct.pack("256s", name.encode()[:15]))
    return answer[18:24]
