"""From the raw query bytes of a request to a typed one, or to a refusal that names the parameter.

`info_hash` and `peer_id` are bytes, not text, so nothing here decodes the query as UTF-8.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import NewType
from urllib.parse import unquote_to_bytes

InfoHash = NewType("InfoHash", bytes)
PeerId = NewType("PeerId", bytes)

DEFAULT_NUMWANT = 50
MOST_NUMWANT = 200
MOST_SCRAPED = 1000
_LONGEST_KEY = 64


class Event(Enum):
    """What a client says has just happened to it (BEP 3; `paused` is BEP 21)."""

    NONE = b""
    STARTED = b"started"
    COMPLETED = b"completed"
    STOPPED = b"stopped"
    PAUSED = b"paused"


class BadRequestError(ValueError):
    """A request that its sender has to mend: which parameter, what is wrong with it, and where it says so."""

    def __init__(self, parameter: str, problem: str, bep: int = 3) -> None:
        super().__init__(f"{parameter} {problem} (BEP {bep})")
        self.parameter = parameter
        self.problem = problem
        self.bep = bep


@dataclass(frozen=True, slots=True)
class AnnounceRequest:
    """One announce (BEP 3, 7, 23). Counters are bytes since the client's `started`; `left` is bytes to go."""

    info_hash: InfoHash
    peer_id: PeerId
    port: int
    left: int
    uploaded: int = 0
    downloaded: int = 0
    event: Event = Event.NONE
    numwant: int = DEFAULT_NUMWANT
    key: bytes | None = None
    compact: bool = True
    no_peer_id: bool = False


@dataclass(frozen=True, slots=True)
class ScrapeRequest:
    """One scrape (BEP 48). No info-hash at all asks for every swarm."""

    info_hashes: tuple[InfoHash, ...]


def parse_announce(query: bytes) -> AnnounceRequest:
    """Read an announce; raises BadRequestError.

    `ip` is ignored: only a trusted proxy may say who somebody else is, and no proxy is trusted yet.
    """
    parameters: dict[bytes, bytes] = {}
    for name, value in _pairs(query):
        parameters.setdefault(name, value)
    numwant = _integer(parameters, "numwant", DEFAULT_NUMWANT)
    return AnnounceRequest(
        info_hash=InfoHash(_twenty_bytes("info_hash", parameters.get(b"info_hash"))),
        peer_id=PeerId(_twenty_bytes("peer_id", parameters.get(b"peer_id"))),
        port=_port(parameters),
        left=_bytes_count(parameters, "left"),
        uploaded=_bytes_count(parameters, "uploaded", 0),
        downloaded=_bytes_count(parameters, "downloaded", 0),
        event=_event(parameters),
        # Some clients say -1 for "as you like".
        numwant=DEFAULT_NUMWANT if numwant < 0 else min(numwant, MOST_NUMWANT),
        key=_key(parameters),
        # A tracker may answer compactly whatever it was asked (BEP 23): the dictionary only on a plain no.
        compact=parameters.get(b"compact") != b"0",
        no_peer_id=parameters.get(b"no_peer_id") == b"1",
    )


def parse_scrape(query: bytes) -> ScrapeRequest:
    """Read a scrape; raises BadRequestError."""
    hashes = [value for name, value in _pairs(query) if name == b"info_hash"]
    if len(hashes) > MOST_SCRAPED:
        raise BadRequestError("info_hash", f"is given more than {MOST_SCRAPED} times", bep=48)
    unique = dict.fromkeys(InfoHash(_twenty_bytes("info_hash", value, bep=48)) for value in hashes)
    return ScrapeRequest(tuple(unique))


def _pairs(query: bytes) -> list[tuple[bytes, bytes]]:
    # A plus stays a plus: info-hashes are percent-encoded bytes (RFC 1738), not a form's fields.
    fields = (field.partition(b"=") for field in query.split(b"&") if field)
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in fields]


def _twenty_bytes(name: str, value: bytes | None, bep: int = 3) -> bytes:
    if value is None:
        raise BadRequestError(name, "is missing", bep)
    if len(value) != 20:
        raise BadRequestError(name, f"has {len(value)} bytes instead of 20", bep)
    return value


def _integer(parameters: dict[bytes, bytes], name: str, default: int | None = None) -> int:
    value = parameters.get(name.encode(), b"")
    if not value:
        if default is None:
            raise BadRequestError(name, "is missing")
        return default
    # The length is bounded before int() sees it: nineteen digits hold every 63-bit counter.
    if not re.fullmatch(rb"-?[0-9]{1,19}", value):
        raise BadRequestError(name, "is not a number")
    return int(value)


def _bytes_count(parameters: dict[bytes, bytes], name: str, default: int | None = None) -> int:
    count = _integer(parameters, name, default)
    if count < 0:
        raise BadRequestError(name, "is negative")
    return count


def _port(parameters: dict[bytes, bytes]) -> int:
    port = _integer(parameters, "port")
    if not 1 <= port <= 65535:
        raise BadRequestError("port", "is not between 1 and 65535")
    return port


def _event(parameters: dict[bytes, bytes]) -> Event:
    try:
        return Event(parameters.get(b"event", b""))
    except ValueError:
        raise BadRequestError("event", "is none of started, completed, stopped, paused") from None


def _key(parameters: dict[bytes, bytes]) -> bytes | None:
    key = parameters.get(b"key") or None
    if key is not None and len(key) > _LONGEST_KEY:
        raise BadRequestError("key", f"is longer than {_LONGEST_KEY} bytes", bep=7)
    return key
