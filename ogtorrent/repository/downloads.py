"""The bytes of published images over HTTP, for `update-cache --protocol unicast` and any web seed (BEP 19).

GET /files/images/aula1/win.img   with Range; below /files stands what the metainfo names
"""

from __future__ import annotations

from aiohttp import web

from ogtorrent.errors import BadName
from ogtorrent.layout import ImagePath
from ogtorrent.repository.publisher import Publisher
from ogtorrent.repository.seats import Seats


def attach(app: web.Application, publisher: Publisher, seats: Seats) -> None:
    async def file(request: web.Request) -> web.StreamResponse:
        parts = tuple(request.match_info["path"].split("/"))
        if request.match_info["name"] == publisher.root.mirror.name:
            for end in range(1, len(parts) + 1):
                if _is_published(publisher, parts[:end], parts):
                    return web.FileResponse(publisher.root.path.joinpath(*parts))
        return web.json_response({"error": f"no file {'/'.join(parts)!r} here"}, status=404)

    app.router.add_get("/files/{name}/{path:.+}", seats.only(file))


def _is_published(publisher: Publisher, image: tuple[str, ...], file: tuple[str, ...]) -> bool:
    try:
        entry = publisher.catalogue.get(ImagePath(image))
    except BadName:
        return False
    if entry is None or entry.metainfo is None:
        return False
    return any(known.path == file for known in entry.metainfo.files)
