"""Who may change a repository over HTTP: who knows its token, or, where it has none, this very host.

The token is sent as OpenGnsys's console sends it (`repository.php`): alone in the `Authorization` header.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from aiohttp import web

from ogtorrent.errors import UnfitToken
from ogtorrent.layout.aliases import as_address
from ogtorrent.repository.addresses import OPENGNSYS_CONFIGURATION, opengnsys_values
from ogtorrent.words import words

log = logging.getLogger(__name__)
# One line for each request that is refused; no more a second than of the tracker's own.
refusals = logging.getLogger("tracker.refusals")

LONGEST = 4096  # bytes of a token
# What a proxy writes into a request: then the other end of the connection is not who asks.
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_PORT = re.compile(r":[0-9]*$")  # of a Host header

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Token:
    """A secret that shows itself to nobody, neither in a log line nor in a traceback."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode(errors="surrogateescape")

    def __repr__(self) -> str:
        return "Token(...)"

    def is_(self, given: str) -> bool:
        """In a time that does not tell how much of it was right."""
        return hmac.compare_digest(self._secret, given.encode(errors="surrogateescape"))


@dataclass(frozen=True)
class Refusal:
    """Why a request is not served, and the status that says so."""

    status: int
    why: str


class Guard:
    """Answers whether a request may change the repository. Without a token only this host may.

    `proxies` are those of `--trust-proxy`: what comes from one is never this host's own.
    """

    def __init__(self, token: Token | None, proxies: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._token = token
        self._proxies = tuple(proxies)

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def has_token(self, request: web.Request) -> bool:
        """Whether a request, from wherever, carries the repository's token."""
        given = request.headers.getall("Authorization", [])
        return self._token is not None and len(given) == 1 and self._token.is_(given[0])

    def refusal(self, request: web.Request) -> Refusal | None:
        """None where the request may be served; else why not, which is logged already."""
        refusal = self._refusal(request)
        if refusal is not None:
            refusals.info("refused http %r from %s: %s", request.path, request.remote, refusal.why)
        return refusal

    def guarded(self, handler: Handler) -> Handler:
        """The handler, for those who may; others get JSON with an `error`."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            refusal = self.refusal(request)
            if refusal is None:
                return await handler(request)
            return web.json_response(
                {"error": refusal.why}, status=refusal.status, headers=asks_for_token(refusal)
            )

        return guarded

    def _refusal(self, request: web.Request) -> Refusal | None:
        if self._token is not None:
            if self.has_token(request):
                return None
            if "Authorization" in request.headers:
                return Refusal(401, words("The token in the Authorization header is not the repository's."))
            return Refusal(401, words("This needs the repository's token in the Authorization header."))
        if not self._is_this_host(request):
            return Refusal(
                403,
                words(
                    "This repository has no token, so only its own host may do this. Give it one: ApiToken= "
                    "in {configuration}, or `ogtorrent serve --token-file`.",
                    configuration=OPENGNSYS_CONFIGURATION,
                ),
            )
        return None

    def _is_this_host(self, request: web.Request) -> bool:
        """Whether a program on this host asks by itself: no proxy for others, no web page in a browser."""
        address = as_address(request.remote or "")
        if address is None or not address.is_loopback or any(address in proxy for proxy in self._proxies):
            return False
        if any(header in request.headers for header in (*_FORWARDED, "Origin")):
            return False
        # A page whose name was made to lead to 127.0.0.1 names itself here.
        host = _PORT.sub("", request.host).strip("[]").lower()
        named = as_address(host)
        return host == "localhost" or (named is not None and named.is_loopback)


def asks_for_token(refusal: Refusal) -> dict[str, str]:
    """The headers of an answer that refuses: of 401 it must say how to do better (RFC 9110, 11.6.1)."""
    return {"WWW-Authenticate": "ApiToken"} if refusal.status == 401 else {}


def token_in(file: Path) -> Token:
    """The token that a file holds alone. Raises UnfitToken."""
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(LONGEST + 1)
    except OSError as error:
        raise UnfitToken(file, error.strerror or str(error), words("Check its path and mode.")) from None
    if mode & 0o007:
        raise UnfitToken(file, words("everybody on this host can read or change it"), words("chmod o= it."))
    return Token(_checked(file, content.decode(errors="surrogateescape").strip()))


def configured_token(configuration: Path = OPENGNSYS_CONFIGURATION) -> Token | None:
    """`ApiToken=` of an OpenGnsys repository; None where there is none that can be used."""
    try:
        values = opengnsys_values("ApiToken", configuration)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("no token: %s: %s", configuration, error.strerror)
        return None
    if not values or not values[-1]:
        return None
    try:
        return Token(_checked(configuration, values[-1]))
    except UnfitToken as error:
        log.warning("%s", error)
        return None


def _checked(file: Path, secret: str) -> str:
    """A header carries one line of visible characters."""
    if not secret:
        raise UnfitToken(file, words("it is empty"), words("Write the token into it, on one line."))
    if len(secret) > LONGEST or not secret.isprintable() or " " in secret:
        raise UnfitToken(
            file,
            words("a token is one line without blanks, of at most {longest} bytes", longest=LONGEST),
            words("Write another one, such as `openssl rand -hex 32` makes."),
        )
    return secret
