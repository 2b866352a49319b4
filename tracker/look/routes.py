"""What can be looked at over HTTP: pages, JSON, metrics, and whether all is well."""

import re

from aiohttp import web

from tracker.look import as_json, metrics, pages
from tracker.look.answers import NOT_KEPT, in_json, masked, packed
from tracker.look.asked import words_for
from tracker.request import InfoHash
from tracker.tracker import Tracker

_INFO_HASH = re.compile("[0-9A-Fa-f]{40}")


def attach(app: web.Application, tracker: Tracker) -> None:
    """Add the routes `/health`, `/metrics`, `/api/v1/swarms`, and those of the pages."""

    async def swarms(request: web.Request) -> web.StreamResponse:
        return packed(request, in_json(as_json.snapshot_as_json(await tracker.picture(), words_for(request))))

    async def swarm(request: web.Request) -> web.StreamResponse:
        text = request.match_info["info_hash"]
        if not _INFO_HASH.fullmatch(text):
            # Not 404: that says of a torrent that it may be published yet, and this names none.
            return in_json({"error": "an info-hash is 40 hexadecimal digits"}, status=400)
        info_hash = InfoHash(bytes.fromhex(text))
        picture = await tracker.picture_of(info_hash)
        if picture is None:
            return in_json({"error": f"torrent {info_hash.hex()} is not published here"}, status=404)
        return packed(request, in_json(as_json.swarm_as_json(picture, words_for(request))))

    async def health(request: web.Request) -> web.StreamResponse:
        return in_json({"status": "ok", "torrents": len(tracker.allow_list.published)})

    async def figures(request: web.Request) -> web.StreamResponse:
        body = metrics.render(await metrics.take(tracker))
        return web.Response(body=body, headers={**NOT_KEPT, "Content-Type": metrics.CONTENT_TYPE})

    app.router.add_get("/health", masked(health))
    app.router.add_get("/metrics", masked(figures))
    app.router.add_get("/api/v1/swarms", masked(swarms))
    app.router.add_get("/api/v1/swarms/{info_hash}", masked(swarm))
    pages.attach(app, tracker)
