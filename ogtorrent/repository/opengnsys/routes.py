"""The routes of OpenGnsys 1.1's repository (`admin/WebConsole/rest/repository.php`).

    GET  /repository/images
    GET  /repository/image/NAME, /repository/image/UNIT/NAME
    POST /repository/poweron      {"macs": ["001b2a3c4d5e"]}

Its console asks for them below `/opengnsys/rest`. A refusal has a `message`, which its console does not
show: the texts are OpenGnsys's own where it has one, and never translated.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from ogtorrent.repository.opengnsys import images
from ogtorrent.repository.opengnsys.origin import OPENGNSYS_REPOINFO
from ogtorrent.repository.opengnsys.waking import Segment, hardware_address, segments, wake
from ogtorrent.repository.publisher import Publisher
from ogtorrent.repository.token import Guard, Handler, asks_for_token

log = logging.getLogger(__name__)

_PREFIXES = ("/opengnsys/rest/repository", "/repository")
_END = "{end:/?}"


def attach(
    app: web.Application,
    publisher: Publisher,
    guard: Guard,
    repoinfo: Path = OPENGNSYS_REPOINFO,
    find_segments: Callable[[], Sequence[Segment]] = segments,
) -> None:
    """Add the routes to an application, under both of their paths."""

    async def all_images(request: web.Request) -> web.Response:
        entries = list(publisher.catalogue.values())
        found = await asyncio.to_thread(images.repository, publisher.root, entries, repoinfo)
        return _refused(404, "Images directory not found") if found is None else web.json_response(found)

    async def one_image(request: web.Request) -> web.Response:
        unit, name = request.match_info.get("unit", ""), request.match_info["name"]
        entries = list(publisher.catalogue.values())
        found = await asyncio.to_thread(images.named, publisher.root, entries, repoinfo, unit, name)
        # Its 404 is out of reach: of an image that it does not find it answers 200 and an empty list.
        return web.json_response([] if found is None else found)

    async def poweron(request: web.Request) -> web.Response:
        try:
            macs = _macs(await request.read())
        except ValueError as error:
            return _refused(400, str(error))
        return await asyncio.to_thread(_woken, macs, find_segments())

    for prefix in _PREFIXES:
        app.router.add_get(f"{prefix}/images{_END}", _guarded(guard, all_images))
        app.router.add_get(f"{prefix}/image/{{name:[^/]+}}{_END}", _guarded(guard, one_image))
        app.router.add_get(f"{prefix}/image/{{unit:[^/]+}}/{{name:[^/]+}}{_END}", _guarded(guard, one_image))
        app.router.add_post(f"{prefix}/poweron", _guarded(guard, poweron))


def _guarded(guard: Guard, handler: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        refusal = guard.refusal(request)
        if refusal is None:
            return await handler(request)
        why = "Login failed. Incorrect credentials" if refusal.status == 401 else refusal.why
        return _refused(refusal.status, why, asks_for_token(refusal))

    return guarded


def _refused(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"message": message}, status=status, headers=headers)


def _macs(body: bytes) -> list[str]:
    """The `macs` that a body asks for. Raises ValueError where there are none."""
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    macs = told.get("macs") if isinstance(told, dict) else None
    if not macs:
        raise ValueError("Required param macs not found")
    if not isinstance(macs, list) or not all(isinstance(mac, str) for mac in macs):
        raise ValueError("Param macs is not an array of strings")
    return macs


def _woken(given: Sequence[str], into: Sequence[Segment]) -> web.Response:
    """What its `wakeonlan` command would print; who is no MAC address is named, and the others are woken."""
    macs = {mac: hardware_address(mac) for mac in given}
    shown = [found or mac for mac, found in macs.items()]
    lines = ["Executing wakeonlan " + " ".join(shown)]
    lines += [f"Invalid hardware address: {mac}" for mac, found in macs.items() if found is None]
    wanted = [found for found in macs.values() if found is not None]
    sent, failed = wake(wanted, into) if wanted else ([], [])
    for line in failed:
        log.warning("%s", line)
    if failed and not sent:
        return _refused(500, " ".join(failed))
    log.info("woken: %s", " ".join(wanted))
    return web.json_response({"output": "\n".join([*lines, *sent, *failed]) + "\n"})
