"""Whom the repository gives an image without a tracker: seats of a network that may announce."""

from __future__ import annotations

from aiohttp import web

import tracker.server
from ogtorrent.layout.aliases import as_address
from ogtorrent.repository.token import Guard, Handler
from ogtorrent.words import words


class Seats:
    """And whoever has the repository's token, from wherever."""

    def __init__(self, networks: tracker.server.Networks, guard: Guard) -> None:
        self._networks, self._guard = networks, guard

    def only(self, handler: Handler) -> Handler:
        """The handler, for seats; others get 403 and JSON with an `error`."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._is_seat(request) or self._guard.refusal(request) is None:
                return await handler(request)
            why = words(
                "{address} is in none of the networks whose PCs may announce; see `ogtorrent serve --allow`.",
                address=request.remote,
            )
            return web.json_response({"error": why}, status=403)

        return guarded

    def _is_seat(self, request: web.Request) -> bool:
        address = as_address(request.remote or "")
        if address is None:
            return False
        # Behind a proxy everybody would have its address.
        proxied = self._networks.speaks_for_others(address.packed) or "X-Forwarded-For" in request.headers
        return not proxied and self._networks.may_announce(address.packed)
