"""From the raw query bytes of an HTTP request to a typed one, or to a refusal that names the parameter.

`info_hash` and `peer_id` are bytes, not text, so nothing here decodes the query as UTF-8.
"""

import re
from binascii import a2b_qp
from urllib.parse import unquote_to_bytes

from tracker.networks import packed_address
from tracker.request import (
    DEFAULT_NUMWANT,
    AnnounceRequest,
    BadRequestError,
    Event,
    InfoHash,
    PeerId,
    peers_wanted,
)

MOST_SCRAPED = 1000
_LONGEST_KEY = 64
_FIELD = re.compile(rb"(?:^|&)([^&=]*)=?([^&]*)")
_LONGEST_NUMBER = 19
_EVENTS = {event.value: event for event in Event}


def parse_announce(query: bytes) -> AnnounceRequest:
    """Read an announce; raises BadRequestError."""
    given = _given(query)
    return AnnounceRequest(
        InfoHash(_twenty_bytes("info_hash", given.get(b"info_hash"))),
        PeerId(_twenty_bytes("peer_id", given.get(b"peer_id"))),
        _port(given),
        _number(given, b"left"),
        _number(given, b"uploaded", 0),
        _number(given, b"downloaded", 0),
        _event(given.get(b"event")),
        # Some say -1 for "as you like".
        peers_wanted(_number(given, b"numwant", DEFAULT_NUMWANT, least=None)),
        _key(given.get(b"key")),
        # A tracker may answer compactly whatever it was asked (BEP 23): the dictionary only on a plain no.
        given.get(b"compact") != b"0",
        given.get(b"no_peer_id") == b"1",
        _claimed(given),
    )


def parse_scrape(query: bytes) -> tuple[InfoHash, ...]:
    """The info-hashes that a scrape asks for (BEP 48), each once; raises BadRequestError."""
    hashes = [value for name, value in _pairs(query) if name == b"info_hash"]
    if len(hashes) > MOST_SCRAPED:
        raise BadRequestError("info_hash", f"is given more than {MOST_SCRAPED} times", bep=48)
    return tuple(dict.fromkeys(InfoHash(_twenty_bytes("info_hash", value, bep=48)) for value in hashes))


def _given(query: bytes) -> dict[bytes, bytes]:
    """The parameters, their values as they came; the first of two values counts."""
    return dict(reversed(_pairs(query)))


def _pairs(query: bytes) -> list[tuple[bytes, bytes]]:
    pairs: list[tuple[bytes, bytes]] = _FIELD.findall(query)
    if any([b"%" in name for name, _ in pairs]):
        return [(_unquoted(name), value) for name, value in pairs]
    return pairs


def _unquoted(text: bytes) -> bytes:
    # A plus stays a plus: info-hashes are percent-encoded bytes (RFC 1738), not a form's fields.
    if b"%" not in text:
        return text
    # Quoted-printable has the same digits after another sign, and is undone in C, eight times as fast. With a
    # sign that stays, a line that is folded or another length, the text was none of it.
    if b"=" not in text and b"\r" not in text and b"\n" not in text:
        undone = a2b_qp(text.replace(b"%", b"="))
        if len(undone) == len(text) - 2 * text.count(b"%"):
            return undone
    return unquote_to_bytes(text)


def _twenty_bytes(name: str, value: bytes | None, bep: int = 3) -> bytes:
    if value is None:
        raise BadRequestError(name, "is missing", bep)
    value = _unquoted(value)
    if len(value) != 20:
        raise BadRequestError(name, f"has {len(value)} bytes instead of 20", bep)
    return value


def _number(
    given: dict[bytes, bytes], name: bytes, default: int | None = None, *, least: int | None = 0
) -> int:
    """A number; without a default, one that has to be there."""
    value = given.get(name, b"")
    # The length is bounded before int() sees it: nineteen digits hold every 63-bit counter.
    if value.isdigit() and len(value) <= _LONGEST_NUMBER:  # nearly always
        return int(value)
    value = _unquoted(value)
    if not value:
        if default is None:
            raise BadRequestError(name.decode(), "is missing")
        return default
    if not value.removeprefix(b"-").isdigit() or len(value) > _LONGEST_NUMBER:
        raise BadRequestError(name.decode(), "is not a number")
    if least is not None and int(value) < least:
        raise BadRequestError(name.decode(), "is negative")
    return int(value)


def _port(given: dict[bytes, bytes]) -> int:
    port = _number(given, b"port")
    if not 1 <= port <= 65535:
        raise BadRequestError("port", "is not between 1 and 65535")
    return port


def _event(value: bytes | None) -> Event:
    if not value:
        return Event.NONE
    event = _EVENTS.get(_unquoted(value))
    if event is None:
        raise BadRequestError("event", "is none of started, completed, stopped, paused")
    return event


def _key(value: bytes | None) -> bytes:
    if not value:
        return b""
    key = _unquoted(value)
    if len(key) > _LONGEST_KEY:
        raise BadRequestError("key", f"is longer than {_LONGEST_KEY} bytes", bep=7)
    return key


def _claimed(given: dict[bytes, bytes]) -> bytes | None:
    # Ignored where it is no address: BEP 3 lets `ip` be a name, and from most senders it does not count.
    said = given.get(b"ip") or given.get(b"ipv4") or given.get(b"ipv6")
    return packed_address(_unquoted(said).decode("latin-1")) if said else None
