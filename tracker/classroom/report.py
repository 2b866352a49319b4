"""What a seat of ours tells of itself, besides its announces: `POST /api/v1/reports`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tracker.request import InfoHash

LARGEST = 16 * 1024  # bytes of a report
MOST_PEERS = 16
MOST_BARS = 64
LONGEST_NAME = 64  # characters; what is longer is cut
LONGEST_ERROR = 500
# No figure of a disk or a network is larger; JSON has no end of numbers.
_LARGEST_NUMBER = 1 << 62


class Doing(Enum):
    """What a seat says it does with an image."""

    CHECKING = "checking"
    FILLING = "filling"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A peer that a seat talks to: bytes per second down to the seat, and up from it."""

    address: str
    port: int
    down: int
    up: int


@dataclass(frozen=True, slots=True)
class Report:
    """One seat and one image. Bytes, bytes per second; None is what the seat cannot know."""

    info_hash: InfoHash
    port: int
    name: str  # of the PC
    doing: Doing
    done: int  # bytes that are verified
    download_rate: int
    upload_rate: int
    link: int | None  # Mbit/s of its network port
    disk_rate: int | None  # what its disk writes
    disk_waits: float | None  # part of the time, 0 to 1, in which the network waited for the disk
    reachable: bool | None  # whether a peer has ever connected in
    cache_size: int | None
    cache_free: int | None
    peers: int  # connections
    neighbours: tuple[Neighbour, ...]  # the busiest
    availability: tuple[int, ...]  # copies of the rarest piece in each part of the image, as it sees them
    error_code: int | None  # the exit code, when it failed
    error: str


class ReportError(Exception):
    """A report that cannot be read: which field, and what it should be."""


def parse(body: bytes) -> Report:
    """Read a report; fields that are not known are passed over. Raises ReportError."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise ReportError("a report is JSON") from None
    if not isinstance(told, dict):
        raise ReportError("a report is an object of JSON")
    return Report(
        info_hash=_info_hash(told),
        port=_number(told, "port", most=65535),
        name=_text(told, "name", LONGEST_NAME),
        doing=_doing(told),
        done=_number(told, "done"),
        download_rate=_number(told, "download_rate"),
        upload_rate=_number(told, "upload_rate"),
        link=_number_or_none(told, "link"),
        disk_rate=_number_or_none(told, "disk_rate"),
        disk_waits=_part_or_none(told, "disk_waits"),
        reachable=_yes_or_none(told, "reachable"),
        cache_size=_number_or_none(told, "cache_size"),
        cache_free=_number_or_none(told, "cache_free"),
        peers=_number(told, "peers"),
        neighbours=tuple(_neighbour(one) for one in _list(told, "neighbours", MOST_PEERS)),
        availability=tuple(
            _checked(one, "each of availability", _LARGEST_NUMBER)
            for one in _list(told, "availability", MOST_BARS)
        ),
        error_code=_number_or_none(told, "error_code"),
        error=_text(told, "error", LONGEST_ERROR),
    )


def _info_hash(told: Mapping[str, Any]) -> InfoHash:
    value = told.get("info_hash")
    if isinstance(value, str) and len(value) == 40 and value.isascii() and value.isalnum():
        try:
            return InfoHash(bytes.fromhex(value))
        except ValueError:
            pass
    raise ReportError("info_hash is 40 hexadecimal digits")


def _doing(told: Mapping[str, Any]) -> Doing:
    try:
        return Doing(told.get("doing"))
    except ValueError:
        raise ReportError(f"doing is one of {', '.join(doing.value for doing in Doing)}") from None


def _text(told: Mapping[str, Any], field: str, longest: int) -> str:
    value = told.get(field, "")
    if not isinstance(value, str):
        raise ReportError(f"{field} is a string")
    return readable(value[:longest])


def readable(text: str) -> str:
    """Without control characters, nor lone surrogates: those can stand in JSON, and nowhere in UTF-8."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _number(told: Mapping[str, Any], field: str, most: int = _LARGEST_NUMBER) -> int:
    return _checked(told.get(field), field, most)


def _number_or_none(told: Mapping[str, Any], field: str) -> int | None:
    return None if told.get(field) is None else _number(told, field)


def _checked(value: Any, field: str, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ReportError(f"{field} is an integer from 0 to {most}")
    return value


def _part_or_none(told: Mapping[str, Any], field: str) -> float | None:
    value = told.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ReportError(f"{field} is a number from 0 to 1")
    return float(value)


def _yes_or_none(told: Mapping[str, Any], field: str) -> bool | None:
    value = told.get(field)
    if value is None or isinstance(value, bool):
        return value
    raise ReportError(f"{field} is true, false or null")


def _list(told: Mapping[str, Any], field: str, most: int) -> list[Any]:
    value = told.get(field, [])
    if not isinstance(value, list) or len(value) > most:
        raise ReportError(f"{field} is an array of at most {most}")
    return value


def _neighbour(told: Any) -> Neighbour:
    if not isinstance(told, dict):
        raise ReportError("neighbours is an array of objects")
    return Neighbour(
        _text(told, "address", LONGEST_NAME),
        _number(told, "port", most=65535),
        _number(told, "down"),
        _number(told, "up"),
    )
