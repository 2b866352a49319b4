"""Who is announcing where a proxy stands between: what a trusted one says, and nobody else's word."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.tracker.conftest import Headers
from tests.tracker.datagrams import client
from tracker.networks import PRIVATE, Networks

Publish = Callable[..., bytes]
Until = Callable[..., Awaitable[None]]
Room = Any

SEAT = "10.9.9.9"
SPOOFED = "10.66.6.6"


@pytest.fixture
def networks() -> Networks:
    """127.0.0.2 and 127.0.0.1, this very host, are proxies, and so is a network of them."""
    return Networks(PRIVATE, [ip_network(one) for one in ("127.0.0.1", "127.0.0.2", "10.50.0.0/24")])


def forwarded(*values: str) -> Headers:
    return [("X-Forwarded-For", value) for value in values]


async def addresses(room: Room) -> list[str]:
    """Under which addresses the tracker has seats."""
    swarms = json.loads((await room.get("/api/v1/swarms"))[1])["swarms"]
    return [seat["address"] for swarm in swarms for seat in swarm["repository"] + swarm["seats"]]


@pytest.mark.parametrize(
    ("headers", "ip", "seen"),
    [
        (forwarded(SEAT), None, SEAT),
        (forwarded("::ffff:10.9.9.9"), None, SEAT),
        (forwarded("fd00::9"), None, "fd00::9"),
        (forwarded(f"{SEAT},10.50.0.1 , 10.50.0.2"), None, SEAT),
        (forwarded(f"{SPOOFED}, {SEAT}"), None, SEAT),
        (forwarded(f"{SPOOFED}, {SEAT}, 10.50.0.1"), None, SEAT),
        (forwarded(f"10.50.0.9, {SEAT}"), None, SEAT),
        (forwarded("unknown, \xff\x80", f"garbage,, {SEAT}", "10.50.0.1"), None, SEAT),
        (forwarded("10.50.0.1"), None, "10.50.0.1"),
        (forwarded(), SEAT, SEAT),
        (forwarded("10.50.0.1"), SEAT, SEAT),
        (forwarded(SEAT), SPOOFED, SEAT),
        (forwarded("", " ,"), None, "127.0.0.2"),
        (forwarded(), "tracker.example.org", "127.0.0.2"),
    ],
)
async def test_a_trusted_proxy_says_who_is_announcing(
    room: Room, publish: Publish, headers: Headers, ip: str | None, seen: str
) -> None:
    await room.announce(publish("a"), seat=2, headers=headers, ip=ip)
    assert await addresses(room) == [seen]


async def test_nobody_else_is_believed(room: Room, publish: Publish) -> None:
    await room.announce(publish("a"), seat=3, headers=forwarded(f"{SPOOFED}, 10.50.0.1"), ip=SPOOFED)
    assert await addresses(room) == ["127.0.0.3"]


@pytest.mark.parametrize(
    "nonsense", ["unknown", f"{SEAT}:4711", "10.9.9.999", pytest.param("\xff\x80" * 40, id="noise")]
)
async def test_where_a_proxy_talks_nonsense_what_its_client_wrote_does_not_count(
    room: Room, publish: Publish, nonsense: str
) -> None:
    reply = await room.announce(publish("a"), seat=2, headers=forwarded(f"{SPOOFED}, {nonsense}"), ip=SPOOFED)
    reason = reply[b"failure reason"].decode()
    assert reason.startswith("the proxy 127.0.0.2 says that you are ") and "X-Forwarded-For" in reason
    assert len(reason) < 500
    assert await addresses(room) == []


async def test_a_network_that_may_not_announce_may_not_through_a_proxy_either(
    room: Room, publish: Publish
) -> None:
    reply = await room.announce(publish("a"), seat=2, headers=forwarded("203.0.113.7"))
    assert b"203.0.113.7 is in no network that may announce here" in reply[b"failure reason"]
    assert b"--allow" in reply[b"failure reason"]


@pytest.mark.parametrize(
    ("proxy", "ip", "seen"),
    [("127.0.0.2", SEAT, SEAT), ("127.0.0.2", "0.0.0.0", "127.0.0.2"), ("127.0.0.3", SPOOFED, "127.0.0.3")],
)
async def test_the_address_in_a_datagram_counts_from_a_trusted_proxy_alone(
    room: Room, publish: Publish, proxy: str, ip: str, seen: str
) -> None:
    image = publish("a")
    await room.announce(image, seat=9, event="stopped")  # published
    async with client(room.port, proxy) as seat:
        reply = await seat.announce(await seat.connect(), image, ip=ip_address(ip).packed)
        assert reply[:4] == b"\0\0\0\x01"
    assert await addresses(room) == [seen]


@pytest.mark.parametrize(
    ("host", "given"),
    [
        ("10.1.0.1", [b"\x0a\x01\0\x01\x1a\xe1"]),
        ("10.1.0.1:6969", [b"\x0a\x01\0\x01\x1a\xe1"]),
        ("[fd00::1]", [ip_address("fd00::1").packed + b"\x1a\xe1"]),
        ("[fd00::1]:6969", [ip_address("fd00::1").packed + b"\x1a\xe1"]),
        ("tracker.example.org:80", []),
        ("[[:", []),
        (SEAT, []),  # who names its own address is not the repository for that
    ],
)
async def test_through_a_proxy_on_this_host_a_seat_gets_the_repositorys_seed_at_the_address_it_asked(
    room: Room, publish: Publish, host: str, given: list[bytes]
) -> None:
    image = publish("a")
    await room.announce(image, seat=1, left=0)
    reply = await room.announce(image, seat=1, headers=[*forwarded(SEAT), ("Host", host)], peer_id="p" * 20)
    assert [peers for peers in (reply[b"peers"], reply.get(b"peers6")) if peers] == given
    (swarm,) = json.loads((await room.get("/api/v1/swarms"))[1])["swarms"]
    assert [seat["address"] for seat in swarm["repository"]] == ["127.0.0.1"]
    assert [seat["address"] for seat in swarm["seats"]] == [SEAT]


NGINX = """
daemon off;
pid {folder}/pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {port} reuseport;
        location / {{
            proxy_pass http://127.0.0.1:{tracker};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


@pytest.fixture
async def nginx(tmp_path: Path, room: Room, until: Until) -> AsyncIterator[int]:
    """A real reverse proxy before the tracker; its port."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    folder = tmp_path / ".nginx"
    folder.mkdir()
    kept = socket.socket()  # keeps the port from who asks for a free one, until nginx has ended
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kept.bind(("", 0))
    port = kept.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port, tracker=room.port))
    process = await asyncio.create_subprocess_exec(
        "nginx",
        "-e",
        "stderr",
        "-p",
        str(folder),
        "-c",
        str(configuration),
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def it_answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        await until(it_answers)
        yield port
    finally:
        process.terminate()
        await process.wait()
        kept.close()


@pytest.mark.room
async def test_behind_nginx_each_seat_has_its_own_address_and_cannot_feign_another(
    room: Room, publish: Publish, nginx: int
) -> None:
    image = publish("a")
    direct, room.port = room.port, nginx
    for seat in (7, 8):
        reply = await room.announce(image, seat=seat, headers=forwarded(SPOOFED), ip=SPOOFED)
    assert reply[b"peers"] == b"\x7f\0\0\x07\x1a\xe1"
    for port in (direct, nginx):
        url = f"http://127.0.0.1:{port}/rooms/127.0.0.0/24"
        async with aiohttp.ClientSession() as session, session.get(url) as page:
            html = await page.text()
        assert "127.0.0.7" in html and "127.0.0.8" in html and SPOOFED not in html
