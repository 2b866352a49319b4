"""`poweron` of OpenGnsys's interface wakes the rooms behind every card of the server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.port import call
from benchmarks.room import Host, Room

from .laboratory import TRACKER_PORT, Repository, skip_without_room

pytestmark = pytest.mark.room

MAC = "08:00:27:0e:4c:d1"
LISTENS = """
import socket, sys
cards = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in sys.argv[1:]]
for card, broadcast in zip(cards, sys.argv[1:]):
    card.bind((broadcast, 9))
    card.settimeout(30)
print("listening", flush=True)
for card in cards:
    print(card.recv(2048).hex(), flush=True)
"""


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl")


def second_cable(server: Host, seat: Host) -> None:
    """Another network between the two, without a switch."""
    made = ["ip", "link", "add", "name", "second", "netns", server.namespace, "type", "veth"]
    call(*made, "peer", "name", "second", "netns", seat.namespace)
    for host, address in ((server, "10.98.7.1"), (seat, "10.98.7.2")):
        call("ip", "-n", host.namespace, "addr", "add", f"{address}/24", "brd", "+", "dev", "second")
        call("ip", "-n", host.namespace, "link", "set", "second", "up")


def test_poweron_wakes_the_rooms_behind_every_card(tmp_path: Path) -> None:
    with Room(seats=1) as room:
        (seat,) = room.seats
        second_cable(room.repository, seat)
        asleep = seat.popen(
            [sys.executable, "-c", LISTENS, "10.99.255.255", "10.98.7.255"], stdout=subprocess.PIPE, text=True
        )
        assert asleep.stdout is not None and asleep.stdout.readline() == "listening\n"
        repository = Repository(room.repository, tmp_path / "repository")
        repository.serve()
        url = f"http://127.0.0.1:{TRACKER_PORT}/opengnsys/rest/repository/poweron"
        told = room.repository.run(["curl", "-sS", "-d", json.dumps({"macs": [MAC]}), url]).stdout
        magic = ("ff" * 6 + 16 * MAC.replace(":", "")) + "\n"
        assert asleep.communicate(timeout=30)[0] == 2 * magic
        assert sorted(json.loads(told)["output"].splitlines()) == [
            f"Executing wakeonlan {MAC}",
            f"Sending magic packet to 10.98.7.255:9 with {MAC}",
            f"Sending magic packet to 10.99.255.255:9 with {MAC}",
        ]
        # Whoever is not this host, and has no token, wakes nobody.
        refused = seat.run(
            ["curl", "-sS", "-d", json.dumps({"macs": [MAC]}), url.replace("127.0.0.1", "10.98.7.1")]
        )
        assert "ApiToken" in json.loads(refused.stdout)["message"]
