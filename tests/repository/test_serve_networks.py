"""`ogtorrent serve`: who may announce, who speaks for others, and who sits together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes
from urllib.request import Request, urlopen

import bencode2
import pytest
from machines import DEADLINE, Server, published

Command = Callable[..., tuple[int, str, str]]


def announce(server: Server, info_hash: bytes, address: str) -> dict[bytes, Any]:
    """Announce through a proxy on 127.0.0.1, which seats reach as 10.1.0.1."""
    peer_id = address.rjust(20, "-")
    query = f"info_hash={quote_from_bytes(info_hash)}&peer_id={peer_id}&port=6881&left=1000"
    headers = {"X-Forwarded-For": address, "Host": "10.1.0.1"}
    request = Request(f"http://{server.address}/announce?{query}", headers=headers)
    with urlopen(request, timeout=DEADLINE) as reply:
        return dict(bencode2.bdecode(reply.read()))


def test_who_is_allowed_may_announce_besides_the_private_networks_and_a_room_is_what_is_named_so(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    root = tmp_path / "images"
    published(root / "windows.img", root, 1000)
    server = serve(
        root, "--allow", "203.0.112.0/22", "--trust-proxy", "127.0.0.1", "--room", "203.0.112.0/23"
    )  # fmt: skip
    image = server.ready("windows.img").info_hash
    reason = announce(server, image, "198.51.100.7")[b"failure reason"].decode()
    assert "198.51.100.7 is in no network that may announce" in reason and "--allow" in reason
    assert b"failure reason" not in announce(server, image, "10.1.0.7")
    for number in range(5):
        for room in (112, 113, 114):
            apart = announce(server, image, f"203.0.{room}.{number}")
    # The room's ten, one of another room, and the repository's seed.
    peers = announce(server, image, "203.0.112.99")[b"peers"]
    assert len(peers) == 6 * (10 + 1 + 1)
    assert b"\x0a\x01\0\x01" in peers
    assert len(apart[b"peers"]) == 6 * (4 + 1 + 1)


@pytest.mark.parametrize("option", ["--allow", "--trust-proxy", "--room"])
@pytest.mark.parametrize("network", ["aula1", "10.1.0.0/33", "10.1.2.3/16", "fd00::1/64", ""])
def test_a_network_that_is_none_is_a_matter_of_form(
    tmp_path: Path, command: Command, option: str, network: str
) -> None:
    given = ("serve", tmp_path, "--listen", "127.0.0.1:0", option, "10.0.0.0/8", option, network)
    code, _, said = command(*given)
    assert code == 1
    assert f"{network!r} cannot be used: a network is like 10.1.0.0/16" in said
