"""What a browser would like: kind of answer, language, packing (RFC 9110, section 12)."""

import re

from aiohttp import hdrs, web

from tracker.words import LANGUAGES, preferred

COOKIE = "lang"
EVENTS = "text/event-stream"

_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def wishes(header: str) -> dict[str, float]:
    """What stands in such a header as `Accept`, in lower case, and its weight; the dearest first."""
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
    return request.method == hdrs.METH_GET and wanted.get(EVENTS, 0) > wanted.get("text/html", 0)


def language(request: web.Request) -> str:
    """What the reader chose here once, or what the browser asks for."""
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    wanted = wishes(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    return preferred([name for name, weight in wanted.items() if weight])


def pack(request: web.Request, response: web.Response) -> web.Response:
    """The response, packed where the client takes that and it is worth it."""
    wanted = wishes(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    response.headers.add(hdrs.VARY, hdrs.ACCEPT_ENCODING)
    if wanted.get("gzip", wanted.get("*", 0)) and (response.content_length or 0) >= _WORTH_PACKING:
        response.enable_compression(web.ContentCoding.gzip)
    return response


# Bytes. What is smaller fits one packet of Ethernet as it is.
_WORTH_PACKING = 1400
