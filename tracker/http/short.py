"""The short way: an announce as clients send it, answered without a request object, a task and a route.

It is for a request that comes whole and alone, whose headers change nothing, and whose answer is no refusal.
Anything else, and all that follows it on the same connection, goes to aiohttp: what HTTP can mean is its
matter. So nothing here is a parser: one expression says whether there is anything to understand.
"""

import re
import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from tracker.http import reply
from tracker.http.connections import Answering
from tracker.http.query import parse_announce
from tracker.networks import packed_address
from tracker.request import BadRequestError, RefusalError
from tracker.swarm.peer import Source
from tracker.tracker import Tracker, without_waiting

# Names of headers that only say who asks and what it would like. `Connection` says whether it stays.
_REQUEST = re.compile(
    rb"GET /announce\?([!\"$-~]*) HTTP/1\.([01])\r\n"
    rb"(?:(?i:host|user-agent|accept|accept-encoding|accept-language|cache-control|pragma):[\t -~]*\r\n"
    rb"|(?i:connection): *(?i:(close)|(keep-alive))\r\n)*\r\n"
)
_LONGEST = 4096


def answering(tracker: Tracker, peername: Any, sockname: Any) -> Answering | None:
    """The short way for one connection; None if there is none, as for a proxy that speaks for others."""
    if not (tracker.store.at_once and isinstance(peername, tuple) and isinstance(sockname, tuple)):
        return None
    address, reached_at = packed_address(peername[0]), packed_address(sockname[0])
    if address is None or reached_at is None or tracker.networks.speaks_for_others(address):
        return None
    try:
        source = tracker.source(address, reached_at, None)
    except RefusalError:
        return None

    def answer(data: bytes) -> tuple[bytes, bool] | None:
        found = _REQUEST.fullmatch(data) if len(data) <= _LONGEST else None
        if found is None or data.lower().count(b"\r\nhost:") != 1:
            return None
        query, version, closes, stays = found.groups()
        if (closes or version == b"0") and stays:
            return None
        return _answer(tracker, source, query, closes is not None or version == b"0")

    return answer


def _answer(tracker: Tracker, source: Source, query: bytes, closes: bool) -> tuple[bytes, bool] | None:
    try:
        request = parse_announce(query)
        if not tracker.answers_at_once(request.info_hash):
            return None
        body = reply.announce_reply(without_waiting(tracker.announce(request, source, "http")), request)
    except (BadRequestError, RefusalError):  # the long way meets it too, and tells of it
        return None
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nDate: %b\r\n%b\r\n%b" % (
        len(body),
        _date(int(time.time())),
        b"Connection: close\r\n" if closes else b"",
        body,
    )
    return head, not closes


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
