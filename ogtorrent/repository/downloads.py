"""The bytes of published images over HTTP, for `update-cache --protocol unicast` and any web seed (BEP 19).

GET /files/images/aula1/win.img   with Range; below /files stands what the metainfo names
"""

from __future__ import annotations

import asyncio
import os

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from ogtorrent.errors import BadName
from ogtorrent.layout import ImagePath, Root
from ogtorrent.repository.publisher import Publisher
from ogtorrent.repository.seats import Seats
from ogtorrent.swarm.metainfo import Metainfo


class _Opened(web.FileResponse):
    """A file by its descriptor: this very one, whatever takes its place meanwhile, and not the `.gz` beside
    it that aiohttp would send to whoever accepts one."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(f"/proc/self/fd/{descriptor}", headers={"Content-Type": "application/octet-stream"})
        self._descriptor = descriptor

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        try:
            return await super().prepare(request)
        finally:
            os.close(self._descriptor)


def attach(app: web.Application, publisher: Publisher, seats: Seats) -> None:
    async def file(request: web.Request) -> web.StreamResponse:
        parts = tuple(request.match_info["path"].split("/"))
        published = None
        if request.match_info["name"] == publisher.root.mirror.name:
            published = _published(publisher, parts)
        opened = (
            None if published is None else await asyncio.to_thread(_opened, publisher.root, published, parts)
        )
        if opened is None:
            return web.json_response({"error": f"no file {'/'.join(parts)!r} here"}, status=404)
        return _Opened(opened)

    app.router.add_get("/files/{name}/{path:.+}", seats.only(file))


def _published(publisher: Publisher, file: tuple[str, ...]) -> Metainfo | None:
    """The image that a file is of."""
    for end in range(1, len(file) + 1):
        try:
            entry = publisher.catalogue.get(ImagePath(file[:end]))
        except BadName:
            continue
        if entry is not None and entry.metainfo is not None:
            return entry.metainfo
    return None


def _opened(root: Root, published: Metainfo, path: tuple[str, ...]) -> int | None:
    """A file as it was published, open; None where something else stands there now."""
    assert published.stamp is not None
    for file, mtime in zip(published.files, published.stamp.mtimes, strict=True):
        if file.path == path:
            try:
                opened = os.open(root.path.joinpath(*path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                return None
            status = os.fstat(opened)
            if (status.st_size, status.st_mtime_ns) == (file.length, mtime):
                return opened
            os.close(opened)
    return None
