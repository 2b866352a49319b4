"""Under which addresses the room reaches this server: what stands in the metainfo's announce."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

from ogtorrent.errors import BadAddress
from ogtorrent.interfaces import Network, own_addresses
from ogtorrent.layout.aliases import as_address
from ogtorrent.words import words

OPENGNSYS_CONFIGURATION = Path("/opt/opengnsys/etc/ogAdmRepo.cfg")


def parse_listen(text: str) -> tuple[str, int]:
    """`ADDRESS:PORT`, `[IPv6]:PORT`, `ADDRESS` or `:PORT`. Raises BadAddress."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "6969"
    host = host.strip("[]") or "0.0.0.0"
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise BadAddress(
            text, words("an address to listen on is ADDRESS:PORT, for example 0.0.0.0:6969")
        ) from None
    if not 0 <= number <= 65535:
        raise BadAddress(text, words("a port is a number up to 65535"))
    return host, number


def parse_networks(texts: Sequence[str]) -> list[Network]:
    """`10.1.0.0/16`, `158.42.3.7`, `fd00::/64`. Raises BadAddress."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise BadAddress(
                text, words("a network is like 10.1.0.0/16 or fd00::/64 ({error})", error=error)
            ) from None
    return networks


def parse_rooms(texts: Sequence[str]) -> dict[Network, str]:
    """`aula1=10.1.1.0/24`, or a network alone, which is then its name. Raises BadAddress."""
    pairs = [(name, text) for name, _, text in (given.rpartition("=") for given in texts)]
    networks = parse_networks([text for _, text in pairs])
    return {one: name or str(one) for one, (name, _) in zip(networks, pairs, strict=True)}


def announce_urls(listen: str, port: int, configuration: Path = OPENGNSYS_CONFIGURATION) -> list[str]:
    """The tracker's URLs as seats see them, the likeliest first."""
    if not ipaddress.ip_address(listen).is_unspecified:
        return [announce_url(listen, port)]
    addresses = [*_configured(configuration), *_towards_the_world(), *_of_interfaces()]
    return [announce_url(address, port) for address in dict.fromkeys(addresses)]


def announce_url(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}/announce"


def own_announce_url(listen: str, port: int) -> str:
    """The tracker as this machine's own seed reaches it."""
    unspecified = ipaddress.ip_address(listen).is_unspecified
    return announce_url("127.0.0.1" if unspecified else listen, port)


def _configured(configuration: Path) -> list[str]:
    """`IPlocal=` of an OpenGnsys repository."""
    try:
        return [value for value in opengnsys_values("IPlocal", configuration) if as_address(value)]
    except OSError:
        return []


def opengnsys_values(wanted: str, configuration: Path = OPENGNSYS_CONFIGURATION) -> list[str]:
    """What an OpenGnsys repository has set `wanted` to, each time. Raises OSError."""
    lines = configuration.read_text(errors="surrogateescape").splitlines()
    pairs = [line.partition("=") for line in lines]
    return [value.strip().strip("\"'") for key, _, value in pairs if key.strip() == wanted]


def _towards_the_world() -> list[str]:
    """The address that the default route leaves from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: routed by default, belongs to nobody
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def _of_interfaces() -> list[str]:
    own = [address for address in map(ipaddress.ip_address, own_addresses()) if address.version == 4]
    return sorted(str(address) for address in own if not address.is_loopback) or ["127.0.0.1"]
