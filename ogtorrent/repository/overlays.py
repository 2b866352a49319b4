"""What groups and clients lay over images: published and seeded as images are, and asked for by seats.

GET /overlays/aula1/win.img                      what applies to the PC that asks, by its address
GET /overlays/aula1/win.img?client=pc-07         what applies to that PC of the inventory
GET /overlays/aula1/win.img?name=pc-07           by the address; where the inventory has none, by that name
GET /layers/groups/GROUP/aula1/win.img.torrent   the metainfo of one, also below /layers/clients/
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any

from aiohttp import web

import tracker.server
from ogtorrent.errors import BadName
from ogtorrent.layout import ImagePath, Layer, Root, Sidecar
from ogtorrent.repository.inventory import Client, Inventory
from ogtorrent.repository.kept import Kept
from ogtorrent.repository.publisher import Entry, Publisher, State
from ogtorrent.repository.seeder import Seeder
from ogtorrent.swarm.session import Session

log = logging.getLogger(__name__)

VERSION = 1  # of the form of these answers
APPEARS = 1.0  # seconds between looks for a layer's folder that is not there

Worker = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]


class Overlays:
    """Of one repository. Its workers end only by cancellation."""

    def __init__(self, kept: Kept, trackers: Sequence[str]) -> None:
        self._roots = {root.layer: root for root in kept.tree.layers if root.layer is not None}
        self._publishers = {layer: Publisher(root, trackers) for layer, root in self._roots.items()}
        self._kept, self._trackers = kept, tuple(trackers)

    def publishers(self) -> list[Worker]:
        return [
            partial(_while_it_stands, root, partial(self._publish, root)) for root in self._roots.values()
        ]

    def seeders(self, session: Session, trackers: Sequence[str]) -> list[Worker]:
        return [
            partial(_while_it_stands, root, Seeder(root, session, trackers).run)
            for root in self._roots.values()
        ]

    async def _publish(self, root: Root, started: Callable[[], None]) -> None:
        assert root.layer is not None
        publisher = self._publishers[root.layer] = Publisher(root, self._trackers)
        await publisher.run(started)

    def attach(self, app: web.Application, tracking: tracker.server.Tracker) -> None:
        """Add the routes to an application; `tracking` knows whom a proxy speaks for."""
        app.router.add_get("/overlays/{image:.+}", partial(self._applying, tracking))
        app.router.add_get("/layers/{layer}/{torrent:.+}", self._torrent)

    async def _applying(self, tracking: tracker.server.Tracker, request: web.Request) -> web.Response:
        try:
            image = ImagePath.parse(request.match_info["image"])
        except BadName as error:
            return web.json_response({"ogtorrent": VERSION, "error": str(error)}, status=400)
        address = tracker.server.asking(tracking, request)
        client = _asking(self._kept.inventory, request.query, address)
        return web.json_response(
            {
                "ogtorrent": VERSION,
                "image": str(image),
                "client": client.name if client is not None else None,
                "group": client.group or None if client is not None else None,
                "overlays": list(self._described(image, client)) if client is not None else [],
            }
        )

    def _described(self, image: ImagePath, client: Client) -> Iterator[dict[str, Any]]:
        for layer, holder in ((Layer.GROUP, client.group), (Layer.CLIENT, client.name)):
            entry = self._entry(layer, holder, image)
            if entry is not None:
                yield {
                    "layer": str(layer),
                    "holder": holder,
                    "overlay": str(entry.image),
                    "state": str(entry.state),
                    "why": entry.why,
                    "size": entry.metainfo.size if entry.metainfo is not None else entry.size,
                    "info_hash": entry.metainfo.info_hash.hex() if entry.metainfo is not None else None,
                    "torrent": f"/layers/{layer}/{entry.image}{Sidecar.TORRENT}",
                }

    def _entry(self, layer: Layer, holder: str, image: ImagePath) -> Entry | None:
        publisher = self._publishers.get(layer)
        if publisher is None:
            return None
        try:
            overlay = ImagePath((holder, *image.parts))
        except BadName:  # of a group or client that can have no folder
            return None
        entry = publisher.catalogue.get(overlay)
        if entry is None and publisher.root.has_overlay(overlay):
            # Of a group that has this name since a moment ago: a seat that heard of none would do without.
            return Entry(overlay, State.WAITING)
        return entry

    async def _torrent(self, request: web.Request) -> web.Response:
        layer, torrent = request.match_info["layer"], request.match_info["torrent"]
        publisher = self._publishers.get(Layer(layer)) if layer in list(Layer) else None
        entry = None
        try:
            if publisher is not None and torrent.endswith(Sidecar.TORRENT):
                entry = publisher.catalogue.get(ImagePath.parse(torrent.removesuffix(Sidecar.TORRENT)))
        except BadName:
            pass
        if entry is None or entry.metainfo is None:
            return web.json_response({"error": f"no {torrent!r} here"}, status=404)
        return web.Response(body=entry.metainfo.raw, content_type="application/x-bittorrent")


def _asking(inventory: Inventory, query: Any, address: str | None) -> Client | None:
    """Which client is meant: the one that is named, else whose address it is, else what it calls itself."""
    if "client" in query:
        return inventory.clients.get(query["client"], Client(query["client"]))
    found = inventory.client_at(address) if address is not None else None
    if found is None and query.get("name"):
        return inventory.clients.get(query["name"], Client(query["name"]))
    return found


async def _while_it_stands(root: Root, work: Worker, started: Callable[[], None]) -> None:
    """A repository may have no groups and clients today, and have them tomorrow."""
    while True:
        if root.path.is_dir():
            try:
                await work(started)
            except OSError as error:
                log.warning("%s: %s", root.path, error)
        started()
        await asyncio.sleep(APPEARS)
