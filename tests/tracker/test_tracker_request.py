"""Announces and scrapes as they come over the wire."""

import tracemalloc
from contextlib import suppress
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.http.query import parse_announce, parse_scrape
from tracker.request import BadRequestError, Event

HASH = bytes(range(0xF0, 0x100)) + b"&=+%"
GOOD = {"info_hash": quote(HASH), "peer_id": "-XX0001-000000000001", "port": "6881", "left": "5"}


def query(**changes: str | None) -> bytes:
    fields = GOOD | changes
    return "&".join(f"{name}={value}" for name, value in fields.items() if value is not None).encode()


def test_an_info_hash_is_bytes_and_never_text() -> None:
    assert parse_announce(query()).info_hash == HASH


def test_whatever_is_escaped_is_read() -> None:
    escaped = "".join(f"%{ord(letter):02x}" if letter not in "=&%" else letter for letter in "port=6881")
    assert parse_announce(query(port=None) + b"&" + escaped.encode()).port == 6881
    hashes = b"%69nfo_hash=" + quote(HASH).encode()
    assert parse_scrape(hashes) == (HASH,)


def test_a_plus_is_a_plus() -> None:
    assert parse_announce(query(peer_id="++++++++++++++++++++")).peer_id == b"+" * 20


def test_bytes_that_nobody_escaped_are_taken_as_they_are() -> None:
    raw = b"\xff\xfe" * 10
    assert parse_announce(query(info_hash=None) + b"&info_hash=" + raw).info_hash == raw


def test_everything_that_a_client_may_say_is_read() -> None:
    request = parse_announce(
        query(
            uploaded="1",
            downloaded="2",
            event="completed",
            numwant="7",
            key="k%00",
            compact="0",
            no_peer_id="1",
        )
    )
    assert (request.port, request.left, request.uploaded, request.downloaded) == (6881, 5, 1, 2)
    assert (request.event, request.numwant, request.key) == (Event.COMPLETED, 7, b"k\0")
    assert (request.compact, request.no_peer_id) == (False, True)


@pytest.mark.parametrize(("asked", "got"), [(None, 50), ("-1", 50), ("0", 0), ("200", 200), ("201", 200)])
def test_numwant_is_fifty_unless_said_and_two_hundred_at_most(asked: str | None, got: int) -> None:
    assert parse_announce(query(numwant=asked)).numwant == got


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("info_hash", None),
        ("info_hash", "a" * 19),
        ("info_hash", "a" * 32),
        ("peer_id", None),
        ("peer_id", "a" * 21),
        ("port", None),
        ("port", "0"),
        ("port", "65536"),
        ("port", "ssh"),
        ("left", None),
        ("left", "-1"),
        ("left", "9" * 5000),
        ("left", "%d9%a1"),
        ("uploaded", "1.5"),
        ("downloaded", "-5"),
        ("numwant", "many"),
        ("event", "exploded"),
        ("key", "k" * 65),
    ],
)
def test_a_refusal_names_the_parameter_and_the_bep(parameter: str, value: str | None) -> None:
    with pytest.raises(BadRequestError) as refused:
        parse_announce(query(**{parameter: value}))
    assert refused.value.parameter == parameter
    assert str(refused.value).startswith(parameter)
    assert "BEP" in str(refused.value)


def test_what_is_claimed_to_be_an_address_does_not_stay_in_memory() -> None:
    length = 10_000
    tracemalloc.start()
    for number in range(100):
        assert parse_announce(query(ip=f"{number:0{length}}")).claimed is None
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 10 * length


def test_a_scrape_asks_for_each_hash_once() -> None:
    other = b"b" * 20
    asked = f"info_hash={quote(HASH)}&info_hash={quote(other)}&info_hash={quote(HASH)}".encode()
    assert parse_scrape(asked) == (HASH, other)


def test_a_scrape_of_a_short_hash_is_refused() -> None:
    with pytest.raises(BadRequestError, match=r"info_hash .*BEP 48"):
        parse_scrape(b"info_hash=abc")


@given(st.binary(max_size=12) | st.from_regex(rb"[%=0-9a-fA-F\n\r &]{0,12}", fullmatch=True))
def test_percent_encoding_is_undone_as_the_standard_library_does_it(text: bytes) -> None:
    value = text.partition(b"&")[0]
    key = unquote_to_bytes(value)
    assert parse_announce(query() + b"&key=" + text).key == key
    assert parse_announce(query() + b"&key=" + quote(text).encode()).key == text


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(noise: bytes) -> None:
    for parse in (parse_announce, parse_scrape):
        with suppress(BadRequestError):
            parse(noise)
