"""Whom the repository gives an image without a tracker: seats of a network that may announce."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from aiohttp import web

import tracker.server
from ogtorrent.repository.token import Guard
from ogtorrent.words import words

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        try:
            address = ip_address((request.remote or "").partition("%")[0])
        except ValueError:
            return False
        packed = (getattr(address, "ipv4_mapped", None) or address).packed
        # Behind a proxy everybody would have its address.
        proxied = self._networks.speaks_for_others(packed) or "X-Forwarded-For" in request.headers
        return not proxied and self._networks.may_announce(packed)
