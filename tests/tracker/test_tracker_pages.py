"""What the pages' addresses answer: kind, language, packing, faults, and where one is led."""

import asyncio
import gzip
import json
import re
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDictProxy

from tracker.look.asked import wishes
from tracker.swarm.store import StoreDownError
from tracker.words import LANGUAGES, preferred

Publish = Callable[..., bytes]
Room = Any

PAGES = ["/", "/rooms/{room}", "/seats/127.0.0.2", "/swarms/aula1/windows.img", "/history"]


class Answer(NamedTuple):
    """As it came over the wire: not unpacked, and not followed elsewhere."""

    status: int
    kind: str
    headers: CIMultiDictProxy[str]
    cookies: SimpleCookie
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


async def ask(room: Room, target: str, method: str = "GET", **headers: str) -> Answer:
    named = {"Accept-Encoding": "identity"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        asked = session.request(method, room.url + target, headers=named, allow_redirects=False)
        async with asked as reply:
            ends = reply.content_type != "text/event-stream"
            body = await reply.read() if ends else b""
            return Answer(reply.status, reply.content_type, reply.headers, reply.cookies, body)


@pytest.fixture
async def filled(room: Room, publish: Publish) -> Room:
    image = publish("aula1/windows.img", size=512)
    await room.announce(image, seat=2, left=500)
    return room


async def named(room: Room) -> str:
    (swarm,) = json.loads((await room.get("/api/v1/swarms"))[1])["swarms"]
    return quote(swarm["seats"][0]["room"])


@pytest.mark.parametrize("page", PAGES)
async def test_every_page_is_html_in_the_readers_language_and_head_is_of_it(filled: Room, page: str) -> None:
    target = page.format(room=await named(filled))
    reply = await ask(filled, target, Accept_Language="fr, es-ES;q=0.8, en;q=0.5")
    assert (reply.status, reply.kind) == (200, "text/html")
    assert '<html lang="es">' in reply.text
    vary = ", ".join(reply.headers.getall("Vary"))
    assert all(name in vary for name in ("Accept,", "Accept-Language", "Cookie", "Accept-Encoding"))
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    head = await ask(filled, target, "HEAD")
    assert (head.status, head.kind, head.body) == (200, "text/html", b"")


@pytest.mark.parametrize("page", PAGES[:-1])
async def test_what_shows_this_moment_comes_as_events_too(filled: Room, page: str) -> None:
    target = page.format(room=await named(filled))
    for accept, kind in (
        ("text/event-stream", "text/event-stream"),
        ("text/html;q=0.5, text/event-stream;q=0.6", "text/event-stream"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("text/event-stream, text/html", "text/html"),
        ("text/event-stream;q=0", "text/html"),
    ):
        reply = await ask(filled, target, Accept=accept)
        assert (reply.status, reply.kind) == (200, kind), accept


@pytest.mark.parametrize("page", ["/rooms/10.9.9.0/24", "/seats/10.9.9.9", "/swarms/nothing", "/history/77"])
async def test_what_is_not_there_is_a_page_that_says_so(filled: Room, page: str) -> None:
    reply = await ask(filled, page)
    assert (reply.status, reply.kind) == (404, "text/html")
    assert "Nothing to see here" in reply.text
    if not page.startswith("/history"):
        assert (await ask(filled, page, Accept="text/event-stream")).status == 404


async def test_the_history_is_a_file_as_well(filled: Room) -> None:
    reply = await ask(filled, "/history.csv")
    assert (reply.status, reply.kind) == (200, "text/csv")
    assert reply.headers["Content-Disposition"] == 'attachment; filename="history.csv"'
    told = json.loads((await ask(filled, "/history.json")).body)
    assert isinstance(told["deployments"], list)
    for kind in ("csv", "json"):
        unknown = await ask(filled, f"/history/77.{kind}")
        assert unknown.status == 404 and "error" in json.loads(unknown.body)


async def test_a_chosen_language_is_kept_and_leads_back_to_the_page(filled: Room) -> None:
    reply = await ask(filled, "/swarms/aula1/windows.img?lang=es&x=y")
    assert (reply.status, reply.headers["Location"]) == (303, "/swarms/aula1/windows.img")
    cookie = reply.cookies["lang"]
    assert (cookie.value, cookie["path"], cookie["samesite"]) == ("es", "/", "Lax")
    assert int(cookie["max-age"]) == 365 * 24 * 3600
    shown = await ask(filled, "/", Cookie="lang=es", Accept_Language="en")
    assert '<html lang="es">' in shown.text
    shown = await ask(filled, "/", Cookie="lang=tlh", Accept_Language="es")
    assert '<html lang="es">' in shown.text
    shown = await ask(filled, "/", Accept_Language="fr, es;q=0")
    assert '<html lang="en">' in shown.text


async def test_a_page_of_names_alone_has_another_shape_in_each_language(filled: Room) -> None:
    target = f"/rooms/{await named(filled)}"
    shapes = set()
    for language in LANGUAGES:
        shapes |= set(
            re.findall('data-shape="(.*?)"', (await ask(filled, target, Cookie=f"lang={language}")).text)
        )
    assert len(shapes) == len(LANGUAGES)


@pytest.mark.parametrize("lang", ["", "fr", "//evil.example", "es%0d%0aSet-Cookie:a=b"])
async def test_any_other_language_is_passed_over(filled: Room, lang: str) -> None:
    reply = await ask(filled, f"/?lang={lang}")
    assert reply.status == 200 and not reply.cookies


@pytest.mark.parametrize(
    "path", ["//evil.example", "//evil.example/rooms/a", "/rooms//evil.example", "/%2f/evil"]
)
async def test_a_language_leads_nowhere_else(filled: Room, path: str) -> None:
    connection, wire = await _raw(
        filled, f"GET {path}?lang=es HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert b" 404 " in connection or b"\r\nLocation: /rooms/" in wire


async def test_what_is_large_is_packed_for_who_takes_that(filled: Room) -> None:
    plain = await ask(filled, "/", Accept_Encoding="identity")
    assert "Content-Encoding" not in plain.headers
    for wanted in ("gzip", "br, gzip;q=0.5", "*"):
        reply = await ask(filled, "/", Accept_Encoding=wanted)
        assert reply.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(reply.body) == plain.body
    for wanted in ("br, deflate", "gzip;q=0", "gzip;q=0, *", ""):
        assert "Content-Encoding" not in (await ask(filled, "/", Accept_Encoding=wanted)).headers, wanted
    small = await ask(filled, "/history.json", Accept_Encoding="gzip")
    assert "Content-Encoding" not in small.headers
    head = await ask(filled, "/", "HEAD", Accept_Encoding="gzip")
    assert head.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("accept", ["text/html", "text/event-stream"])
async def test_a_fault_is_masked_and_a_store_that_is_down_told(
    filled: Room, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    async def broken(*_: object) -> object:
        raise fault

    monkeypatch.setattr("tracker.watch.Watch.picture", broken)
    fault: Exception = StoreDownError("valkey://secret:6379 does not answer")
    reply = await ask(filled, "/", Accept=accept)
    assert reply.status == 503
    assert json.loads(reply.body) == {"error": "the tracker's store does not answer"}
    fault = RuntimeError("secret")
    reply = await ask(filled, "/", Accept=accept)
    assert (reply.status, reply.body) == (500, b"internal error\n")


def test_wishes_are_read_by_their_weight() -> None:
    assert list(wishes("de;q=0.7, ES-ar , en;q=0.9;x, fr;q=0").items()) == [
        ("es-ar", 1.0),
        ("en", 0.9),
        ("de", 0.7),
        ("fr", 0.0),
    ]
    assert wishes("") == wishes(" ,;q=1, ") == {}


@given(st.text() | st.text(alphabet="es-AR,;q=01. *_@"))
def test_no_header_is_too_odd_to_be_read(header: str) -> None:
    wanted = wishes(header)
    assert all(0 <= weight <= 1 for weight in wanted.values())
    assert preferred(list(wanted)) in LANGUAGES


async def _raw(room: Room, request: str) -> tuple[bytes, bytes]:
    """The first line of an answer, and all of it; aiohttp's own client would mend the path."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n")[0], answer
