"""A seat against servers that are not what they should be: each one real, on a port of its own."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ogtorrent.fetch.server
from ogtorrent.cache import overlays
from ogtorrent.cache.overlays import Applying
from ogtorrent.errors import (
    BadAddress,
    HostileMetainfo,
    ImageLocked,
    NotARepository,
    OgtorrentError,
    RepositoryUnreachable,
    UnknownImage,
    UpdateFailed,
)
from ogtorrent.fetch.catalogue import ask
from ogtorrent.fetch.server import Server
from ogtorrent.layout import ImagePath, Layout, Mirror
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import File, Stamp

WINDOWS = ImagePath.of("aula1", "windows.img")
GOOD_ANSWER = {
    "ogtorrent": 1,
    "layout": "bare",
    "name": "images",
    "package": "",
    "image": str(WINDOWS),
    "state": "ready",
    "size": 5,
    "hashed": 0,
    "why": "",
}
GOOD = metainfo.encode(
    "images", WINDOWS, [File(WINDOWS.parts, 5)], 16384, bytes(20), Stamp((1,), "0" * 32, "0" * 32), ()
)
Chunks = Iterator[bytes] | list[bytes]


@contextmanager
def server(answers: Callable[[str], Chunks]) -> Iterator[Server]:
    """A TCP server that sends to each connection what `answers` gives for the path that was asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(connection: socket.socket) -> None:
            with connection:
                try:
                    words = connection.recv(65536).split()
                    for chunk in answers(words[1].decode() if len(words) > 1 else ""):
                        connection.sendall(chunk)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(65536)
                except OSError:
                    pass  # the seat has had enough

        def all_of_them() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=all_of_them, daemon=True).start()
        port = listener.getsockname()[1]
        yield Server("127.0.0.1", port, "127.0.0.1")
        listener.shutdown(socket.SHUT_RDWR)


def http(body: bytes, status: str = "200 OK") -> list[bytes]:
    return [b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body)), body]


def says(answer: Any, torrent: bytes = GOOD.raw, status: str = "200 OK") -> Callable[[str], Chunks]:
    """A repository with one answer and one `.torrent`."""
    text = json.dumps(answer).encode()
    return lambda path: http(torrent) if path.startswith("/torrents/") else http(text, status)


def refusal(answers: Callable[[str], Chunks]) -> OgtorrentError:
    with server(answers) as repository, pytest.raises(OgtorrentError) as refused:
        ask(repository, WINDOWS)
    assert str(refused.value).isprintable()
    return refused.value


def test_a_good_server_is_believed() -> None:
    with server(says(GOOD_ANSWER)) as repository:
        offer = ask(repository, WINDOWS)
    assert offer.metainfo == GOOD and offer.mirror.name == "images"


FOREIGN: dict[str, Callable[[str], Chunks]] = {
    "garbage": lambda path: [b"\x00\xff\x17" * 1000],
    "a mail server": lambda path: [b"220 mail.example ESMTP\r\n"],
    "HTML": lambda path: http(b"<html><h1>It works!</h1></html>"),
    "HTML and 404": lambda path: http(b"<html>404</html>", "404 Not Found"),
    "500": lambda path: http(b"Internal Server Error", "500 Internal Server Error"),
    "500 in our own words": says(GOOD_ANSWER, status="500 Internal Server Error"),
    "a redirect": lambda path: [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    ],
    "an empty answer": lambda path: http(b""),
    "a list": says([1, 2]),
    "a number": says(7),
    "an object of another kind": says({"hello": "world"}),
    "version 2": says(GOOD_ANSWER | {"ogtorrent": 2}),
    "a version of another type": says(GOOD_ANSWER | {"ogtorrent": ["1"] * 1000}),
    "a layout of another kind": says(GOOD_ANSWER | {"layout": ["bare"]}),
    "a root that climbs out": says(GOOD_ANSWER | {"name": "../.."}),
    "a package that climbs out": says(GOOD_ANSWER | {"layout": "eac", "package": "../../etc"}),
    "a state that is none": says(GOOD_ANSWER | {"state": {"ready": True}}),
    "JSON of great depth": lambda path: http(b"[" * 500_000),
    "a huge body": lambda path: itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(b" " * 65536)),
    "a body of a length that is none": lambda path: [b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"],
    "chunks that are none": lambda path: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"],
    "endless headers": lambda path: itertools.chain(
        [b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"X-Y: z\r\n" * 100)
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_an_answer_that_is_none_of_ours_is_told_as_such(what: str) -> None:
    error = refusal(FOREIGN[what])
    assert isinstance(error, NotARepository), error
    assert error.exit_code == 23 and "127.0.0.1" in str(error)
    assert len(str(error)) < 500
    if what == "a huge body":
        assert "longer than" in str(error)


def test_a_server_that_closes_at_once_is_told_as_such() -> None:
    error = refusal(lambda path: [])
    assert isinstance(error, NotARepository | RepositoryUnreachable) and error.exit_code == 23


def test_an_answer_that_breaks_off_is_told_as_such() -> None:
    error = refusal(lambda path: [b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"ogtorrent": 1'])
    assert isinstance(error, NotARepository | RepositoryUnreachable) and error.exit_code == 23


def dripping(prefix: bytes, drop: bytes) -> Callable[[str], Chunks]:
    def drip(path: str) -> Iterator[bytes]:
        yield prefix
        for _ in range(2000):
            time.sleep(0.02)
            yield drop

    return drip


@pytest.mark.parametrize(
    ("prefix", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nX-Header: ", b"x"),
        (b"HTTP/1.1 200 ", b"O"),
        (b"", b""),
    ],
)
def test_a_server_that_drips_or_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, prefix: bytes, drop: bytes
) -> None:
    monkeypatch.setattr(ogtorrent.fetch.server, "ANSWER", 0.5)
    asked: list[OgtorrentError] = []
    thread = threading.Thread(target=lambda: asked.append(refusal(dripping(prefix, drop))), daemon=True)
    thread.start()
    thread.join(15)  # a drip lasts 40 s
    assert not thread.is_alive(), "the seat waits for ever"
    assert isinstance(asked[0], RepositoryUnreachable) and "took too long" in str(asked[0])


def test_a_server_that_nobody_runs_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RepositoryUnreachable) as refused:
        ask(Server("127.0.0.1", port, "127.0.0.1"), WINDOWS)
    assert "ogtorrent serve" in str(refused.value) and refused.value.exit_code == 23


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ({"state": "locked"}, ImageLocked, "windows.img.lock"),
        ({"state": "waiting"}, ImageLocked, "being written"),
        ({"state": "hashing", "hashed": 30, "size": 120}, ImageLocked, "25 % done"),
        ({"state": "hashing", "hashed": "x", "size": None}, ImageLocked, "hashing it."),
        ({"state": "hashing", "hashed": 10**4299, "size": 1}, ImageLocked, "hashing"),
        ({"state": "refused", "why": "it is empty."}, UpdateFailed, "it is empty"),
        ({"state": "refused", "why": "\x1b[2J\r\nroot:"}, UpdateFailed, "refuses it"),
        ({"state": "refused", "why": "x" * 10**5}, UpdateFailed, "xxx"),
    ],
)
def test_an_image_that_is_not_ready_is_told_with_its_state(
    answer: dict[str, Any], kind: type[OgtorrentError], words: str
) -> None:
    error = refusal(says(GOOD_ANSWER | answer))
    assert type(error) is kind and words in str(error)
    assert len(str(error)) < 1000


def test_near_names_are_told_and_only_those_that_are_names() -> None:
    near = [
        "aula1/\u202egmi.windows",  # turns what follows around
        "\U00018cd6",  # no letter yet
        "../../etc/passwd",
        7,
        "\x1b[2J",
        None,
        "aula1/windows10.img",
        "aula2/windows.img",
        "a.img",
        "b.img",
    ]
    error = refusal(says(GOOD_ANSWER | {"near": near}, status="404 Not Found"))
    assert isinstance(error, UnknownImage) and error.exit_code == 2
    assert error.near == ("aula1/windows10.img", "aula2/windows.img", "a.img")
    assert "Did you mean aula1/windows10.img or" in str(error)


@pytest.mark.parametrize(
    "torrent",
    [
        b"garbage",
        metainfo.encode(
            "other", WINDOWS, [File(WINDOWS.parts, 5)], 16384, bytes(20), Stamp((1,), "0" * 32, "0" * 32), ()
        ).raw,
        metainfo.encode(
            "images",
            ImagePath.parse("linux.img"),
            [File(("linux.img",), 5)],
            16384,
            bytes(20),
            Stamp((1,), "0" * 32, "0" * 32),
            (),
        ).raw,
        b"d4:infod6:lengthi5e4:name11:windows.img12:piece lengthi16384e6:pieces20:" + bytes(20) + b"ee",
        b"d4:infod5:filesld6:lengthi5e4:pathl5:aula111:windows.imgeee"
        b"4:name6:images12:piece lengthi16384e6:pieces20:" + bytes(20) + b"ee",
        b" " * (metainfo.LARGEST_TORRENT + 10),
    ],
    ids=["garbage", "another root", "another image", "another program's", "no stamp", "too large"],
)
def test_metainfo_that_is_not_of_the_image_is_refused(torrent: bytes) -> None:
    error = refusal(says(GOOD_ANSWER, torrent))
    assert isinstance(error, HostileMetainfo | NotARepository) and error.exit_code in (31, 23)


def test_an_image_that_is_withdrawn_between_two_questions_is_locked() -> None:
    def answers(path: str) -> Chunks:
        return (
            http(b"{}", "404 Not Found")
            if path.startswith("/torrents/")
            else http(json.dumps(GOOD_ANSWER).encode())
        )

    assert isinstance(refusal(answers), ImageLocked)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":6969",
        "http://10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:65536",
        "10.0.0.1:x",
        "10.0.0.1/images",
        "10.0.0.1:６９６９９",
    ],
)
def test_a_server_of_the_wrong_form_is_a_matter_of_form(text: str) -> None:
    with pytest.raises(BadAddress) as refused:
        Server.parse(text)
    assert "SERVER:PORT" in str(refused.value) and refused.value.exit_code == 1


@pytest.mark.parametrize(
    ("text", "parsed", "announce"),
    [
        ("10.0.0.1", ("10.0.0.1", 6969), "http://10.0.0.1:6969/announce"),
        ("10.0.0.1:7000", ("10.0.0.1", 7000), "http://10.0.0.1:7000/announce"),
        ("[::1]:7000", ("::1", 7000), "http://[::1]:7000/announce"),
        ("::1", ("::1", 6969), "http://[::1]:6969/announce"),
    ],
)
def test_a_server_is_an_address_and_perhaps_a_port(text: str, parsed: tuple[str, int], announce: str) -> None:
    found = Server.parse(text)
    assert ((found.address, found.port), found.announce) == (parsed, announce)


def test_a_name_that_nobody_knows_is_unreachable() -> None:
    with pytest.raises(RepositoryUnreachable):
        Server.parse("nobody.invalid")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CURRENT: list[Any] = [None]  # what the one server of the fuzz says; a server an example would be slow


@pytest.fixture(scope="module")
def liar() -> Iterator[Server]:
    def answers(path: str) -> Chunks:
        status, answer, torrent = CURRENT[0]
        return http(torrent) if path.startswith("/torrents/") else http(json.dumps(answer).encode(), status)

    with server(answers) as running:
        yield running


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from(["200 OK", "404 Not Found", "503 No"]),
    fields=st.dictionaries(st.sampled_from([*GOOD_ANSWER, "near", "error"]), JSON, max_size=4),
    torrent=st.just(GOOD.raw) | st.binary(max_size=50),
    whole=st.booleans(),
)
def test_whatever_a_server_says_is_an_offer_or_an_error_of_ours(
    liar: Server, status: str, fields: dict[str, Any], torrent: bytes, whole: bool
) -> None:
    CURRENT[0] = (status, GOOD_ANSWER | fields if whole else fields, torrent)
    try:
        offer = ask(liar, WINDOWS)
    except OgtorrentError as error:
        assert str(error).isprintable() and len(str(error)) < 2000
    else:
        assert offer.metainfo.image == WINDOWS and offer.metainfo.name == offer.mirror.name


READY = {"layer": "groups", "state": "ready", "why": ""}


@pytest.fixture
def current() -> Mirror:
    return Mirror(Layout.CURRENT, "images")


def test_a_repository_that_knows_no_overlays_has_none(current: Mirror) -> None:
    with server(lambda path: http(b"404: Not Found", "404 Not Found")) as repository:
        assert overlays.ask(repository, WINDOWS, current, "pc1", "0.0.0.0") == Applying()
        assert (
            overlays.ask(repository, WINDOWS, Mirror(Layout.BARE, "images"), "pc1", "0.0.0.0") == Applying()
        )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from(["200 OK", "503 No"]),
    answer=JSON
    | st.fixed_dictionaries({"ogtorrent": st.just(1), "overlays": st.lists(JSON, max_size=3)})
    | st.builds(
        lambda fields: {
            "ogtorrent": 1,
            "overlays": [{"layer": "groups", "state": "ready", "why": ""} | fields],
        },
        st.fixed_dictionaries(
            {"overlay": st.sampled_from([f"aula1/{WINDOWS}", str(WINDOWS), "../x", f"a/../{WINDOWS}"])}
        ),
    ),
)
def test_whatever_a_server_says_of_overlays_is_none_or_trouble(
    liar: Server, current: Mirror, status: str, answer: Any
) -> None:
    CURRENT[0] = (status, answer, b"")
    applying = overlays.ask(liar, WINDOWS, current, "pc1", "0.0.0.0")
    assert applying.trouble.isprintable()
    assert all(offered.metainfo is None for offered in applying.offered)
    assert applying.trouble or applying.known
