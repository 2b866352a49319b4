"""What a client would like: page or events, language, packing (RFC 9110, section 12)."""

import re

from aiohttp import hdrs, web

from tracker.look.page import words_in
from tracker.words import LANGUAGES, Words, preferred

COOKIE = "lang"

_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def wishes(header: str) -> dict[str, float]:
    """What stands in such a header as `Accept`, in lower case, by its weight; the dearest first."""
    weights = {}
    for wish in header.lower().split(","):
        name, *parameters = (part.strip() for part in wish.split(";"))
        told = (_WEIGHT.fullmatch(parameter) for parameter in parameters)
        if name:
            weights[name] = next((float(weight[1]) for weight in told if weight), 1.0)
    return dict(sorted(weights.items(), key=lambda pair: -pair[1]))


def wants_events(request: web.Request) -> bool:
    """Whether live events are meant, rather than the page."""
    wanted = wishes(request.headers.get(hdrs.ACCEPT, ""))
    return request.method == hdrs.METH_GET and wanted.get("text/event-stream", 0) > wanted.get("text/html", 0)


def takes_gzip(request: web.Request) -> bool:
    wanted = wishes(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    return wanted.get("gzip", wanted.get("*", 0)) > 0


def language(request: web.Request) -> str:
    """What the reader chose here once, or else what the browser asks for."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    wanted = wishes(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    return preferred([name for name, weight in wanted.items() if weight])


def words_for(request: web.Request) -> Words:
    """The words of that language."""
    return words_in(language(request))
