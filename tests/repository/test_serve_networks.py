"""`ogtorrent serve`: who may announce, who speaks for others, and who sits together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes
from urllib.request import Request, urlopen

import bencode2
import pytest
from machines import DEADLINE, Server, published, until

from ogtorrent.repository.addresses import announce_urls
from tests.tracker.valkeys import Server as Valkey

Command = Callable[..., tuple[int, str, str]]


def announce(server: Server, info_hash: bytes, address: str) -> dict[bytes, Any]:
    """Announce through a proxy on 127.0.0.1, which seats reach as 10.1.0.1."""
    peer_id = address.rjust(20, "-")
    query = f"info_hash={quote_from_bytes(info_hash)}&peer_id={peer_id}&port=6881&left=1000"
    headers = {"X-Forwarded-For": address, "Host": "10.1.0.1"}
    request = Request(f"http://{server.address}/announce?{query}", headers=headers)
    with urlopen(request, timeout=DEADLINE) as reply:
        return dict(bencode2.bdecode(reply.read()))


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A store; the servers that use it, a fixture after this one, end before it."""
    (tmp_path / "valkey").mkdir()
    store = Valkey(tmp_path / "valkey")
    yield store
    store.end()


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
    # The room's ten, and the repository's seed.
    peers = announce(server, image, "203.0.112.99")[b"peers"]
    assert len(peers) == 6 * (10 + 1)
    assert b"\x0a\x01\0\x01" in peers
    # In a room of its own, whose four with the seed are joined to the others by one more.
    assert len(apart[b"peers"]) == 6 * (4 + 1 + 1)


@pytest.mark.room
def test_servers_on_one_store_hand_out_each_others_seeds(
    valkey: Valkey, serve: Callable[..., Server], tmp_path: Path
) -> None:
    servers = []
    for number in (2, 3):
        root = tmp_path / str(number) / "images"
        published(root / "windows.img", root, 1000)
        options = ("--store", valkey.url, "--listen", f"127.0.0.{number}:0", "--trust-proxy", "127.0.0.1")
        servers.append(serve(root, *options))
    image = servers[0].ready("windows.img").info_hash
    assert servers[1].ready("windows.img").info_hash == image

    def seeds(server: Server) -> set[str]:
        (swarm,) = json.loads(server.get("/api/v1/swarms")[1])["swarms"]
        return {seed["address"] for seed in swarm["repository"]}

    for server in servers:
        until(lambda server=server: seeds(server) == {"127.0.0.2", "127.0.0.3"})
    # Each seat gets one of them, and not all the same.
    peers = [announce(servers[0], image, f"127.1.{room}.7")[b"peers"] for room in range(8)]
    assert {one[-6:-2] for one in peers} == {b"\x7f\0\0\2", b"\x7f\0\0\3"}


def test_a_server_on_a_store_that_others_share_seeds_at_an_address_of_its_own(
    valkey: Valkey, serve: Callable[..., Server], tmp_path: Path
) -> None:
    root = tmp_path / "images"
    published(root / "windows.img", root, 1000)
    server = serve(root, "--store", valkey.url, "--listen", "0.0.0.0:0")
    server.ready("windows.img")
    (swarm,) = json.loads(server.get("/api/v1/swarms")[1])["swarms"]
    (seed,) = swarm["repository"]
    assert announce_urls("0.0.0.0", 80)[0] == f"http://{seed['address']}:80/announce"


@pytest.mark.parametrize("option", ["--allow", "--trust-proxy", "--room"])
@pytest.mark.parametrize("network", ["aula1", "10.1.0.0/33", "10.1.2.3/16", "fd00::1/64", ""])
def test_a_network_that_is_none_is_a_matter_of_form(
    tmp_path: Path, command: Command, option: str, network: str
) -> None:
    given = ("serve", tmp_path, "--listen", "127.0.0.1:0", option, "10.0.0.0/8", option, network)
    code, _, said = command(*given)
    assert code == 1
    assert f"{network!r} cannot be used: a network is like 10.1.0.0/16" in said
