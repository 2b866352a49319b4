"""What can be looked at over HTTP: the page, JSON, metrics, and whether all is well."""

import functools
import json
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tracker.look import as_json, metrics
from tracker.request import InfoHash
from tracker.swarm.store import StoreDownError
from tracker.tracker import Tracker
from tracker.words import Words

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.Response]]

_INFO_HASH = re.compile("[0-9A-Fa-f]{40}")
_NOT_KEPT = {"Cache-Control": "no-store"}


def attach(app: web.Application, tracker: Tracker) -> None:
    """Add the routes `/`, `/health`, `/metrics` and `/api/v1/swarms`."""

    async def swarms(request: web.Request) -> web.Response:
        return _json(as_json.snapshot_as_json(await tracker.picture(), Words("en", Path())))

    async def swarm(request: web.Request) -> web.Response:
        text = request.match_info["info_hash"]
        if not _INFO_HASH.fullmatch(text):
            # Not 404: that says of a torrent that it may be published yet, and this names none.
            return _json({"error": "an info-hash is 40 hexadecimal digits"}, status=400)
        info_hash = InfoHash(bytes.fromhex(text))
        picture = await tracker.picture_of(info_hash)
        if picture is None:
            return _json({"error": f"torrent {info_hash.hex()} is not published here"}, status=404)
        return _json(as_json.swarm_as_json(picture, Words("en", Path())))

    async def health(request: web.Request) -> web.Response:
        return _json({"status": "ok", "torrents": len(tracker.allow_list.published)})

    async def figures(request: web.Request) -> web.Response:
        body = metrics.render(await metrics.take(tracker))
        return web.Response(body=body, headers=_NOT_KEPT | {"Content-Type": metrics.CONTENT_TYPE})

    app.router.add_get("/health", _masked(health))
    app.router.add_get("/metrics", _masked(figures))
    app.router.add_get("/api/v1/swarms", _masked(swarms))
    app.router.add_get("/api/v1/swarms/{info_hash}", _masked(swarm))


def _masked(answer: Handler) -> Handler:
    """A fault of ours is logged, and what is shown of it says nothing of us."""

    @functools.wraps(answer)
    async def handler(request: web.Request) -> web.Response:
        try:
            return await answer(request)
        except StoreDownError as error:
            return _json({"error": error.told}, status=503)
        except Exception:
            log.exception("internal error at %s", request.path)
            return web.Response(status=500, text="internal error\n")

    return handler


def _json(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status, headers=_NOT_KEPT, dumps=json.dumps)
