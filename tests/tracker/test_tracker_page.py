"""The page and the API: two renderings of one snapshot."""

import base64
import json
import re
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from tracker.look.page import in_bytes, in_percent, in_time
from tracker.look.snapshot import natural

Publish = Callable[..., bytes]
Room = Any
SIZE = 1000


class Reader(HTMLParser):
    """The words of a page, its tags, and whether each tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.opened: list[str] = []
        self.feed(html)
        assert self.opened == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.opened[-1:] != ["style"]:
            self.words.append(" ".join(data.split()))


async def page(room: Room) -> tuple[Reader, str, dict[str, str]]:
    status, body, headers = await room.get("/")
    assert status == 200
    return Reader(body.decode()), body.decode(), headers


async def filled(room: Room, publish: Publish) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    publish("aula0/idle.img")
    await room.announce(image, seat=1, left=0, uploaded=1080)
    for seat, left in ((10, 500), (9, 0), (100, 999)):
        await room.announce(image, seat=seat, left=left)
    room.clock.now += 2
    await room.announce(image, seat=10, left=300, downloaded=200)


async def test_the_page_shows_each_image_and_seat(room: Room, publish: Publish) -> None:
    await filled(room, publish)
    read, _, _ = await page(room)
    words = " ".join(read.words)
    assert "aula1/windows.img 1 KiB" not in words
    assert "aula1/windows.img 0.977 KiB 2 filling 1 done repository sent 1.05 KiB , 1.08 copies" in words
    assert re.findall(r"127\.0\.0\.\d+", words) == ["127.0.0.9", "127.0.0.10", "127.0.0.100"]
    assert "127.0.0.9 100 % 100 % done" in words
    assert "127.0.0.10 70 % 70 % 100 B/s" in words
    assert "127.0.0.100 0 % 0 % 0 B/s" in words
    assert "aula0/idle.img 640 KiB no seats repository is not seeding" in words


async def test_a_seat_that_misses_its_announce_is_marked(room: Room, publish: Publish) -> None:
    image = publish("a")
    await room.announce(image, seat=2)
    await room.announce(image, seat=2)
    room.clock.now += 9
    assert "silent 9 s" in (await page(room))[0].words
    room.clock.now += 7
    assert "no seats" in (await page(room))[0].words


async def test_an_empty_folder_has_a_page_too(room: Room) -> None:
    read, _, _ = await page(room)
    assert "No torrent is published yet. The page fills as soon as one is." in read.words


async def test_a_hostile_name_is_text_and_nothing_else(room: Room, publish: Publish) -> None:
    name = """<script>alert(1)<img src=x onerror=alert(1)>"'&"""
    publish(name)
    await room.announce(publish("b"), seat=2)
    read, _, _ = await page(room)
    assert name in read.words
    assert not {"script", "img"} & {tag for tag, _ in read.tags}


async def test_the_page_is_whole_without_scripts_and_without_the_outside(
    room: Room, publish: Publish
) -> None:
    await filled(room, publish)
    read, html, headers = await page(room)
    policy = headers["Content-Security-Policy"]
    style = html.split("<style>")[1].split("</style>")[0]
    named = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{named}'; img-src data:; ")
    assert "unsafe" not in policy
    assert ("meta", {"http-equiv": "refresh", "content": "2"}) in read.tags
    for tag, attributes in read.tags:
        assert tag not in ("script", "iframe", "object")
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for link in ("src", "href"):
            assert not re.match(r"(?i)https?:|//", attributes.get(link) or "")
    assert "url(" not in style and "@import" not in style
    assert "prefers-color-scheme: dark" in style


async def test_the_api_tells_the_same(room: Room, publish: Publish) -> None:
    await filled(room, publish)
    status, body, headers = await room.get("/api/v1/swarms")
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    told = json.loads(body)
    assert told["interval"] == 5
    windows, idle = told["swarms"]
    assert (idle["name"], idle["seats"]) == ("aula0/idle.img", [])
    assert (windows["size"], windows["done"], windows["filling"]) == (SIZE, 1, 2)
    assert (windows["copies"], windows["piece_length"]) == (1.08, 65536)
    assert [seat["uploaded"] for seat in windows["repository"]] == [1080]
    assert [seat["address"] for seat in windows["seats"]] == ["127.0.0.9", "127.0.0.10", "127.0.0.100"]
    assert windows["seats"][1] == {
        "address": "127.0.0.10",
        "port": 6881,
        "status": "leeching",
        "progress": pytest.approx(0.7),
        "left": 300,
        "uploaded": 0,
        "downloaded": 200,
        "upload_rate": 0,
        "download_rate": 100,
        "seen_ago": 0,
        "late": False,
    }


async def test_who_keeps_the_interval_is_late_after_half_of_what_makes_it_lost_and_others_are_not(
    room: Room, publish: Publish
) -> None:
    image = publish("a")
    for _ in range(2):
        await room.announce(image, seat=2)
        room.clock.now += 5
    await room.announce(image, seat=3)  # as a client that comes once a minute, whatever it is told

    async def late() -> list[bool]:
        (swarm,) = json.loads((await room.get("/api/v1/swarms"))[1])["swarms"]
        return [seat["late"] for seat in swarm["seats"]]

    assert await late() == [False, False]
    room.clock.now += 3
    assert await late() == [True, False]
    room.clock.now += 160
    assert await late() == [False]
    room.clock.now += 3
    assert await late() == [True]


async def test_the_page_and_the_api_show_one_picture(
    room: Room, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(room, publish)
    taken = await room.tracker.picture()
    await room.announce(publish("new"), seat=9)

    async def painted(*_: object) -> object:
        return taken

    monkeypatch.setattr("tracker.look.snapshot.take", painted)
    told = json.loads((await room.get("/api/v1/swarms"))[1])
    _, html, _ = await page(room)
    assert [swarm["name"] for swarm in told["swarms"]] == re.findall("<h2>(.*?)</h2>", html)
    shown = re.findall(r'"address">(.*?)</span>.*?"percent">([0-9]+) %</span>', html, re.DOTALL)
    seats = [seat for swarm in told["swarms"] for seat in swarm["seats"]]
    assert shown == [(seat["address"], str(int(seat["progress"] * 100))) for seat in seats]
    assert len(shown) == 3 and "new" not in html


async def test_what_clients_say_can_be_absurd(room: Room, publish: Publish) -> None:
    await room.announce(publish("a", size=SIZE), seat=2, left=9 * 10**18, uploaded=9 * 10**18)
    await room.announce(publish("empty", size=0), seat=2, left=5)
    read, _, _ = await page(room)
    assert read.words.count("0 %") == 8


def test_names_are_sorted_as_people_count() -> None:
    names = ["aula10", "Aula2/b", "aula1", "aula2/a10", "aula2/a9", "²", "9" * 30]
    assert sorted(names, key=natural)[1:-1] == ["aula1", "aula2/a9", "aula2/a10", "Aula2/b", "aula10"]


def test_amounts_are_for_people() -> None:
    assert [in_bytes(n) for n in (0, 999, 1000, 1 << 30, 39 << 30, 5 << 40)] == [
        "0 B",
        "999 B",
        "0.977 KiB",
        "1 GiB",
        "39 GiB",
        "5 TiB",
    ]
    assert (in_percent(0.999), in_percent(1.0)) == ("99 %", "100 %")
    assert (in_time(8.2), in_time(180)) == ("8 s", "3 min")
