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
        InfoHash(_twenty_bytes("info_hash", _value(given, b"info_hash"))),
        PeerId(_twenty_bytes("peer_id", _value(given, b"peer_id"))),
        _port(given),
        _bytes_count(given, b"left"),
        _bytes_count(given, b"uploaded", 0),
        _bytes_count(given, b"downloaded", 0),
        _event(given),
        peers_wanted(_integer(given, b"numwant", DEFAULT_NUMWANT)),
        _key(given),
        # A tracker may answer compactly whatever it was asked (BEP 23): the dictionary only on a plain no.
        _value(given, b"compact") != b"0",
        _value(given, b"no_peer_id") == b"1",
        _claimed(given),
    )


def parse_scrape(query: bytes) -> tuple[InfoHash, ...]:
    """The info-hashes that a scrape asks for (BEP 48), each once; raises BadRequestError."""
    hashes = [_unquoted(value) for name, value in _pairs(query) if name == b"info_hash"]
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


def _value(given: dict[bytes, bytes], name: bytes) -> bytes | None:
    value = given.get(name)
    return _unquoted(value) if value else value


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
    if len(value) != 20:
        raise BadRequestError(name, f"has {len(value)} bytes instead of 20", bep)
    return value


def _integer(given: dict[bytes, bytes], name: bytes, default: int | None = None) -> int:
    value = given.get(name, b"")
    # The length is bounded before int() sees it: nineteen digits hold every 63-bit counter.
    if value.isdigit() and len(value) <= _LONGEST_NUMBER:
        return int(value)
    value = _unquoted(value)
    if not value:
        if default is None:
            raise BadRequestError(name.decode(), "is missing")
        return default
    if not value.removeprefix(b"-").isdigit() or len(value) > _LONGEST_NUMBER:
        raise BadRequestError(name.decode(), "is not a number")
    return int(value)


def _bytes_count(given: dict[bytes, bytes], name: bytes, default: int | None = None) -> int:
    count = _integer(given, name, default)
    if count < 0:
        raise BadRequestError(name.decode(), "is negative")
    return count


def _port(given: dict[bytes, bytes]) -> int:
    port = _integer(given, b"port")
    if not 1 <= port <= 65535:
        raise BadRequestError("port", "is not between 1 and 65535")
    return port


def _event(given: dict[bytes, bytes]) -> Event:
    event = _EVENTS.get(_value(given, b"event") or b"")
    if event is None:
        raise BadRequestError("event", "is none of started, completed, stopped, paused")
    return event


def _key(given: dict[bytes, bytes]) -> bytes:
    key = _value(given, b"key") or b""
    if len(key) > _LONGEST_KEY:
        raise BadRequestError("key", f"is longer than {_LONGEST_KEY} bytes", bep=7)
    return key


def _claimed(given: dict[bytes, bytes]) -> bytes | None:
    # Ignored where it is no address: BEP 3 lets `ip` be a name, and from most senders it does not count.
    said = _value(given, b"ip") or _value(given, b"ipv4") or _value(given, b"ipv6")
    return packed_address(said.decode("latin-1")) if said else None
