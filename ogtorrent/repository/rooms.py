"""The tracker's rooms and the names of its seats are the inventory's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

import tracker.server
from ogtorrent.repository.inventory import Inventory
from ogtorrent.repository.kept import Kept

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

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        inventory = await asyncio.to_thread(lambda: self._kept.inventory)  # its disk may be a slow one
        if inventory is not self._known:
            self._known = inventory
            self._networks.know(listed(inventory))
