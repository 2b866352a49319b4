"""The routes of OpenGnsys 1.1's repository, over HTTP; expected is what its `repository.php` answers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from machines import DEADLINE

from ogtorrent.layout import ImagePath, Layout, recognise
from ogtorrent.repository.opengnsys import images as opengnsys_images
from ogtorrent.repository.opengnsys import routes
from ogtorrent.repository.opengnsys.origin import NOWHERE, known_origins
from ogtorrent.repository.opengnsys.waking import Segment
from ogtorrent.repository.publisher import Entry, Publisher, State
from ogtorrent.repository.token import Guard, Token

TOKEN = {"Authorization": "a0b1c2d3e4f5"}
LOOPBACK = Segment("127.255.255.255", "127.0.0.1")
MADE = 1_700_000_000  # when every image was changed last
NO_MACS = (400, {"message": "Required param macs not found"})
LOGIN_FAILED = (401, {"message": "Login failed. Incorrect credentials"})

UNKNOWN = {"clientname": "", "clonator": "", "compressor": "", "filesystem": "", "datasize": 0}
MADE_OF = {
    "clientname": "pc7",
    "clonator": "partclone",
    "compressor": "lzop",
    "filesystem": "NTFS",
    "datasize": 2048 * 1024,
}
FACTS = {"modified": "2023-11-14 23:13:20", "mode": "0644", "backedup": False, "locked": False}
WINDOWS = {"name": "windows", "type": "img", **MADE_OF, "size": 700, **FACTS}
BUSY = {"name": "busy", "type": "img", **UNKNOWN, "size": 700, **FACTS, "locked": True}
LINUX = {"name": "linux", "type": "dsk", **UNKNOWN, "clientname": "pc9", "size": 700, **FACTS, "mode": "0600"}
BASIC = {
    **{"name": "basic.img", "type": "dir", **UNKNOWN, "size": 750, **FACTS, "mode": "0755"},
    **{"clonator": "rsync", "filesystem": "EXT4", "datasize": 3 * 1024},
}
NOBODY = "Executing wakeonlan x\nInvalid hardware address: x\n"
BACKED_UP = {"backedup": True, "backupsize": 5}

ANSWERS: list[tuple[str, str, str | None, tuple[int, Any]]] = [
    ("GET", "image/windows", None, (200, {**WINDOWS, **BACKED_UP})),
    ("GET", "image/windows/", None, (200, {**WINDOWS, **BACKED_UP})),
    ("GET", "image/aula1/linux", None, (200, {**LINUX, **BACKED_UP})),
    ("GET", "image/busy", None, (200, BUSY)),
    # What it does not find is an empty list; the directory and the suffix count.
    ("GET", "image/linux", None, (200, [])),
    ("GET", "image/aula9/linux", None, (200, [])),
    ("GET", "image/windows.img", None, (200, [])),
    ("POST", "poweron", None, NO_MACS),
    ("POST", "poweron", "macs=1", NO_MACS),
    ("POST", "poweron", "{}", NO_MACS),
    ("POST", "poweron", "[" * 100_000, NO_MACS),
    ("POST", "poweron", '["08:00:27:0e:4c:d1"]', NO_MACS),
    ("POST", "poweron", '{"macs": []}', NO_MACS),
    ("POST", "poweron", '{"mac": "08:00:27:0e:4c:d1"}', NO_MACS),
    # There it fails with PHP's own error page.
    ("POST", "poweron", '{"macs": "080027"}', (400, {"message": "Param macs is not an array of strings"})),
    ("POST", "poweron", '{"macs": [1]}', (400, {"message": "Param macs is not an array of strings"})),
    ("POST", "poweron", '{"macs": ["x"]}', (200, {"output": NOBODY})),
]  # fmt: skip


@dataclass
class Console:
    """OpenGnsys's console, as it asks a repository."""

    url: str
    session: aiohttp.ClientSession
    cards: list[Segment]  # of the repository

    async def ask(
        self, method: str, path: str, body: str | None = None, token: dict[str, str] = TOKEN
    ) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, data=body, headers=token) as reply:
            assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
            return reply.status, await reply.json()


@pytest.fixture(autouse=True)
def in_madrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Madrid")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def stands(path: Path, size: int = 700, mode: int = 0o644) -> None:
    """A file, or the directory above one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    path.chmod(mode)
    os.utime(path, (MADE, MADE))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """What OpenGnsys has left: images in both places, one that is written, a directory, and backups."""
    root = tmp_path / "opengnsys" / "repo" / "images"
    for name, mode in (("windows.img", 0o644), ("aula1/linux.dsk", 0o600), ("busy.img", 0o644)):
        stands(root / name, mode=mode)
    (root / "busy.img.lock").touch()
    (root / "windows.img.info").write_text("PARTCLONE:LZOP:NTFS:2048:pc7\n")
    for name in ("windows.img.ant", "aula1/linux.dsk.ant"):
        stands(root / name, size=5)
    noted = "# fstype=ext4\n# sizedata=3\n"
    stands(root / "aula1" / "basic.img" / "data", size=750 - len(noted))
    (root / "aula1" / "basic.img" / "ogimg.info").write_text(noted)
    (root / "aula1" / "basic.img").chmod(0o755)
    os.utime(root / "aula1" / "basic.img", (MADE, MADE))
    return root


@pytest.fixture
async def console(images: Path, tmp_path: Path) -> AsyncIterator[Console]:
    repoinfo = tmp_path / "repoinfo.json"
    linux = {**LINUX, "clientname": "pc9"}
    stale = {"name": "windows", "type": "img", "clientname": "pc1", "datasize": True}
    repoinfo.write_text(
        json.dumps({"images": [stale, 7], "ous": [None, {"subdir": "aula1", "images": [linux]}]})
    )
    publisher = Publisher(recognise(images, Layout.CURRENT), ())
    app = web.Application()
    cards = [LOOPBACK]
    routes.attach(app, publisher, Guard(Token(TOKEN["Authorization"])), repoinfo, lambda: cards)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    surveyed = asyncio.Event()
    publishing = asyncio.create_task(publisher.run(surveyed.set))
    await asyncio.wait_for(surveyed.wait(), DEADLINE)
    async with aiohttp.ClientSession() as session:
        yield Console(f"http://127.0.0.1:{runner.addresses[0][1]}", session, cards)
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing
    await runner.cleanup()


@pytest.mark.parametrize("prefix", ["/opengnsys/rest/repository/", "/repository/"])
async def test_every_request_is_answered_as_opengnsys_answers_it(console: Console, prefix: str) -> None:
    for method, path, body, expected in ANSWERS:
        assert await console.ask(method, prefix + path, body) == expected, (method, path, body)
        for token in ({}, {"Authorization": "wrong"}, {"Authorization": f"Bearer {TOKEN['Authorization']}"}):
            assert await console.ask(method, prefix + path, body, token) == LOGIN_FAILED


@pytest.mark.parametrize("path", ["/opengnsys/rest/repository/images", "/repository/images/"])
async def test_all_images_those_of_units_apart_and_the_disk(
    console: Console, images: Path, path: str
) -> None:
    status, told = await console.ask("GET", path)
    disk = told.pop("disk")
    assert (status, told) == (
        200,
        {
            "directory": str(images),
            "images": [BUSY, {**WINDOWS, **BACKED_UP}],
            "ous": [{"subdir": "aula1", "images": [BASIC, LINUX]}],
        },
    )
    assert disk["total"] == shutil.disk_usage(images).total and 0 <= disk["free"] <= disk["total"]
    assert (await console.ask("GET", path, token={})) == LOGIN_FAILED


async def test_a_note_that_is_older_than_its_image_is_another_images(console: Console, images: Path) -> None:
    os.utime(images / "windows.img.info", (MADE - 1, MADE - 1))
    _, told = await console.ask("GET", "/repository/image/windows")
    assert {name: told[name] for name in UNKNOWN} == {**UNKNOWN, "clientname": "pc1"}


async def test_images_that_are_gone_and_a_tree_that_is(console: Console, images: Path) -> None:
    shutil.rmtree(images)
    assert (await console.ask("GET", "/repository/image/windows")) == (200, [])
    not_found = (404, {"message": "Images directory not found"})
    assert await console.ask("GET", "/repository/images") == not_found


@pytest.mark.root
@pytest.mark.parametrize(
    ("asked", "executed"),
    [
        # As the console's pages write addresses, and as its remotepc.php does.
        (["08:00:27:0e:4c:d1", "08:00:27:0E:4C:D2"], ["08:00:27:0e:4c:d1", "08:00:27:0E:4C:D2"]),
        (["0800270e4cd3"], ["08:00:27:0e:4c:d3"]),
        (["08-00-27-0e-4c-d4", "x", "08:00:27:0e:4c"], ["08:00:27:0e:4c:d4", "x", "08:00:27:0e:4c"]),
    ],
)  # fmt: skip
async def test_poweron_sends_magic_packets_and_says_which(
    console: Console, asked: list[str], executed: list[str]
) -> None:
    woken = [mac for mac in executed if len(mac) == 17]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
        card.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        card.bind((LOOPBACK.broadcast, 9))
        card.settimeout(DEADLINE)
        body = json.dumps({"macs": asked, "ips": ["10.1.1.7"], "mar": "1"})
        status, told = await console.ask("POST", "/repository/poweron", body)
        heard = [await asyncio.to_thread(card.recv, 2048) for _ in woken]
    lines = ["Executing wakeonlan " + " ".join(executed)]
    lines += [f"Invalid hardware address: {mac}" for mac in executed if mac not in woken]
    lines += [f"Sending magic packet to 127.255.255.255:9 with {mac}" for mac in woken]
    assert (status, told) == (200, {"output": "".join(f"{line}\n" for line in lines)})
    assert heard == [b"\xff" * 6 + 16 * bytes.fromhex(mac.replace(":", "")) for mac in woken]


async def test_poweron_tells_of_a_network_that_nothing_can_be_sent_to(console: Console) -> None:
    console.cards.append(Segment("192.0.2.255", "192.0.2.1"))
    body = json.dumps({"macs": ["08:00:27:0e:4c:d1"]})
    failed = "No packet could be sent to 192.0.2.255: Cannot assign requested address"
    status, told = await console.ask("POST", "/repository/poweron", body)
    assert status == 200
    assert told["output"].splitlines()[-2:] == [
        "Sending magic packet to 127.255.255.255:9 with 08:00:27:0e:4c:d1",
        failed,
    ]
    del console.cards[0]
    assert await console.ask("POST", "/repository/poweron", body) == (500, {"message": failed})


def test_what_opengnsys_noted_of_its_own_tree_says_nothing_of_another(tmp_path: Path) -> None:
    (tmp_path / "repoinfo.json").write_text(
        json.dumps({"images": [{"name": "windows", "type": "img", "clientname": "pc1"}]})
    )
    stands(tmp_path / "images" / "windows.img")
    entry = Entry(ImagePath.parse("windows.img"), State.READY, 700)
    noted = {}
    for layout in Layout:
        root = recognise(tmp_path / "images", layout)
        told = opengnsys_images.named(root, [entry], tmp_path / "repoinfo.json", "", "windows")
        assert told is not None
        noted[layout] = told["clientname"]
    assert noted == {Layout.CURRENT: "pc1", Layout.LEGACY: "pc1", Layout.BARE: "", Layout.EAC: ""}


keys = st.sampled_from(["images", "ous", "subdir", "name", "type"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
)


@given(json_values | st.binary())
def test_a_list_of_images_that_is_none_says_nothing(
    tmp_path_factory: pytest.TempPathFactory, told: Any
) -> None:
    repoinfo = tmp_path_factory.getbasetemp() / "repoinfo.json"
    repoinfo.write_bytes(told if isinstance(told, bytes) else json.dumps(told).encode(errors="surrogatepass"))
    assert all(origin == NOWHERE for origin in known_origins(repoinfo).values())
