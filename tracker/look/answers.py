"""How what can be looked at is answered: never kept, packed where that pays, and a fault of ours masked."""

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web

from tracker.look.asked import takes_gzip
from tracker.swarm.store import StoreDownError

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NOT_KEPT: Mapping[str, str] = {"Cache-Control": "no-store"}
# Bytes. What is smaller fits one packet of Ethernet as it is.
_WORTH_PACKING = 1400


def masked(answer: Handler) -> Handler:
    """A fault of ours is logged, and what is shown of it says nothing of us."""

    @functools.wraps(answer)
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            return await answer(request)
        except StoreDownError as error:
            return in_json({"error": error.told}, status=503)
        except Exception:
            log.exception("internal error at %s", request.path)
            return web.Response(status=500, text="internal error\n")

    return handler


def in_json(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status, headers=NOT_KEPT, dumps=json.dumps)


def packed(request: web.Request, response: web.Response) -> web.Response:
    """The response, by gzip where the client takes that and it pays."""
    response.headers.add(hdrs.VARY, hdrs.ACCEPT_ENCODING)
    if takes_gzip(request) and (response.content_length or 0) >= _WORTH_PACKING:
        response.enable_compression(web.ContentCoding.gzip)
    return response
