"""`update-cache --protocol`: multicast and HTTP over loopback, and what is refused before a byte moves."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import Seat, Server, image, until

from ogtorrent.cache import events

Serve, Seats = Callable[..., Server], Callable[..., Seat]
UNICAST = ("--protocol", "unicast")
# Two runs on one machine are not to meet.
PORT = random.SystemRandom().randrange(9000, 9100, 2)
GROUP = f"239.194.{random.SystemRandom().randrange(256)}.{random.SystemRandom().randrange(1, 255)}"
NOT_PUBLISHED = [
    "images/windows.img.torrent",
    "images/../images/windows.img",
    "other/windows.img",
    "images/.windows.img.part",
    "images/clone.img",
    "images/clone.img/%2e%2e/.windows.img.part",
]


def multicast(clients: int) -> tuple[str, ...]:
    return "--protocol", "multicast", "--session", f"{PORT}:full-duplex:{GROUP}:80M:{clients}:60"


def contents(top: Path) -> dict[str, str]:
    files = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
    return {str(file.relative_to(top)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.room
def test_unicast_brings_files_and_directories_from_the_repository_and_seeds_them(
    served: Server, seat: Seats
) -> None:
    image(served.root / "aula 1" / "wíndows#1.img", 3 * 2**20 + 5)
    image(served.root / "clone.img" / "sda1", 700_000)
    image(served.root / "clone.img" / "parts" / "sda2 %", 300_001, seed=2)
    (served.root / "clone.img" / "empty").touch()
    for name in ("aula 1/wíndows#1.img", "clone.img"):
        found = served.ready(name)
        pc = seat()
        subdir, _, last = name.rpartition("/")
        done = pc.update(served.address, last, *UNICAST, subdir=subdir or "/").done
        assert (done.from_seats, done.from_repository) == (0, done.fetched)
        assert done.fetched >= found.size
        assert contents(pc.cache / "images" / name) == contents(served.root / name)
        until(lambda found=found, pc=pc: served.peers(found).get(pc.address) == "seeding")


@pytest.mark.room
def test_who_may_not_announce_is_given_no_bytes_and_joins_no_session(
    serve: Serve, tmp_path: Path, seat: Seats
) -> None:
    image(tmp_path / "images" / "windows.img", 100_000)
    server = serve(tmp_path / "images", "--trust-proxy", "127.0.0.0/8")
    server.ready("windows.img")
    refused = seat().update(server.address, "windows.img", *UNICAST)
    assert (refused.code, "403" in refused.said) == (60, True), refused.said
    refused = seat().update(server.address, "windows.img", "--protocol", "multicast")
    assert refused.code == 60
    assert "none of the networks whose PCs may announce" in refused.said


def test_only_the_files_of_published_images_are_given(served: Server) -> None:
    image(served.root / "windows.img", 1000)
    image(served.root / "clone.img" / "sda1", 1000)
    served.ready("windows.img")
    served.ready("clone.img")
    (served.root / ".windows.img.part").write_bytes(b"unfinished")
    answers = {path: served.get(f"/files/{path}")[0] for path in NOT_PUBLISHED}
    assert answers == dict.fromkeys(NOT_PUBLISHED, 404)
    assert served.get("/files/images/windows.img") == (200, (served.root / "windows.img").read_bytes())


@pytest.mark.room
def test_a_file_is_given_as_it_was_published_and_nothing_in_its_place(served: Server, tmp_path: Path) -> None:
    place = image(served.root / "windows.img", 1000)
    served.ready("windows.img")
    (served.root / "windows.img.gz").write_bytes(b"of somebody")
    request = urllib.request.Request(f"http://{served.address}/files/images/windows.img")
    request.add_header("Accept-Encoding", "gzip, br")
    with urllib.request.urlopen(request) as answer:
        assert (answer.read(), answer.headers["Content-Encoding"]) == (place.read_bytes(), None)
    secret = image(tmp_path / "secret", 1000, seed=7)
    (served.root / ".link").symlink_to(secret)
    until(lambda: served.state("windows.img") == "ready")
    (served.root / ".link").replace(place)  # nobody has looked at it yet
    assert served.get("/files/images/windows.img")[1] != secret.read_bytes()


@pytest.mark.room
def test_a_session_that_somebody_wrote_wrongly_beside_the_image_is_told_as_such(
    served: Server, seat: Seats
) -> None:
    (served.root / "windows.img.mcast").write_text("9001:full-duplex:239.194.17.36:70M:50:60")
    served.ready(image(served.root / "windows.img", 1000).name)
    refused = seat().update(served.address, "windows.img", "--protocol", "multicast")
    assert (refused.code, "its port base" in refused.said) == (55, True), refused.said


def test_a_session_string_is_read_before_anybody_is_asked(seat: Seats) -> None:
    refused = seat().update(
        "127.0.0.1:1", "windows.img", "--protocol", "multicast", "--session", "9001:full-duplex"
    )
    assert (refused.code, "9000:full-duplex:239.194.17.36:70M:50:60" in refused.said) == (55, True)
    assert json.loads(json.dumps(refused.events[-1].exit_code)) == 55


@pytest.mark.room  # udpcast
def test_multicast_brings_an_image_piece_by_piece_and_directories_come_from_the_swarm(
    serve: Serve, tmp_path: Path, seat: Seats
) -> None:
    root = tmp_path / "images"
    image(root / "windows.img", 6 * 2**20 + 1)
    image(root / "clone.img" / "sda1", 100_000)
    served = serve(root, line=50_000)  # by which the whole image would not come in time
    served.ready("windows.img")
    served.ready("clone.img")
    pc = seat()
    came = pc.update(served.address, "windows.img", *multicast(1))
    assert (came.done.from_seats, came.done.from_repository) == (0, came.done.fetched)
    assert not [event for event in came.events if isinstance(event, events.BySwarm)]
    assert contents(pc.cache / "images" / "windows.img") == contents(served.root / "windows.img")
    whole = pc.update(served.address, "clone.img", *multicast(1))
    assert 100_000 <= whole.done.fetched < 200_000  # a part of a block may come twice
    assert [event.why for event in whole.events if isinstance(event, events.BySwarm)]


@pytest.mark.room
def test_a_sender_that_fails_is_told_and_so_is_one_that_dies_before_it_sends(
    served: Server, seat: Seats
) -> None:
    image(served.root / "windows.img", 100_000)
    found = served.ready("windows.img")
    pc = seat()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", PORT + 1))
        failed = pc.update(served.address, "windows.img", *multicast(1))
    assert (failed.code, "udp-sender" in failed.said) == (56, True), failed.said

    waiting = pc.start(served.address, "windows.img", *multicast(2))
    until(lambda: b"waiting" in served.get("/multicast/windows.img")[1])
    until(lambda: pc.address in served.peers(found))
    served.process.kill()
    alone = waiting.end()
    assert not (pc.cache / "images" / ".windows.img.part").exists(), "it asked the swarm while it waited"
    assert (alone.code, "does not answer any more" in alone.said) == (60, True), alone.said
