"""The tracker's rooms and the names of its seats are the inventory's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

import tracker.server
from ogtorrent.errors import OgtorrentError
from ogtorrent.repository.inventory import Inventory
from ogtorrent.repository.kept import Kept

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between looks at the inventory


def attach(app: web.Application, kept: Kept, networks: tracker.server.Networks) -> None:
    """While the application runs, have the tracker know the clients of the inventory as it stands."""
    follower = _Follower(kept, networks)

    async def following(app: web.Application) -> AsyncIterator[None]:
        await follower.look()  # whoever announces first is in its room already
        task = asyncio.create_task(follower.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(following)


def listed(inventory: Inventory) -> list[tracker.server.Listed]:
    """Its clients whose address the console knows: a seat is known by that alone."""
    clients = inventory.clients.values()
    return [tracker.server.Listed(client.ip, client.name, client.group) for client in clients if client.ip]


class _Follower:
    def __init__(self, kept: Kept, networks: tracker.server.Networks) -> None:
        self._kept, self._networks = kept, networks
        self._known: Inventory | None = None
        self._told = ""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        """What cannot be read changes nothing."""
        try:
            inventory = await asyncio.to_thread(lambda: self._kept.inventory)  # the disk may be a slow one
        except (OSError, ValueError, OgtorrentError) as error:
            if str(error) != self._told:  # once, not every second
                log.error("rooms and names stay as they were: %s", error)
            self._told = str(error)
            return
        self._told = ""
        if inventory is not self._known:
            self._known = inventory
            self._networks.know(listed(inventory))
