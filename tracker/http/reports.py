"""What seats tell of themselves over HTTP, besides their announces: `POST /api/v1/reports`."""

import asyncio
import json
import logging

from aiohttp import web

from tracker.classroom.report import LARGEST, ReportError, parse
from tracker.http.frontend import source_of, who
from tracker.request import RefusalError
from tracker.tracker import Tracker

log = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds that a report may take to arrive


def attach(app: web.Application, tracker: Tracker) -> None:
    """Add the route `/api/v1/reports`."""

    async def handler(request: web.Request) -> web.Response:
        try:
            report = parse(await _body(request))
            pause = await tracker.report(report, source_of(tracker, request, None))
        except ReportError as error:
            return _refusal(request, error, 400)
        except RefusalError as error:
            return _refusal(request, error, 403)
        except Exception:
            log.exception("internal error at %s", request.path)
            return web.Response(status=500, text="internal error\n")
        return web.json_response({"next": pause})

    def _refusal(request: web.Request, error: Exception, status: int) -> web.Response:
        tracker.refused("http", "report", who(request), error)
        return web.json_response({"error": str(error)}, status=status, dumps=json.dumps)

    app.router.add_post("/api/v1/reports", handler)


async def _body(request: web.Request) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > LARGEST:
                    raise ReportError(f"a report has at most {LARGEST} bytes")
    except TimeoutError:
        raise ReportError(f"a report comes within {_PATIENCE:.0f} seconds") from None
    return body
