"""The pages: each has one address, which answers as HTML and, where it shows this moment, as live events."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from aiohttp import hdrs, web

import tracker
from tracker.classroom.history import History
from tracker.classroom.snapshot import Snapshot
from tracker.look import files, page, views
from tracker.look.answers import NOT_KEPT, Handler, in_json, masked, packed
from tracker.look.asked import COOKIE, language, wants_events
from tracker.look.live import CrowdedError, Live, MakeView
from tracker.look.view import View
from tracker.words import LANGUAGES, Words

_WORDS = {name: Words(name, Path(tracker.__file__).parent / "locale") for name in LANGUAGES}
_YEAR = 365 * 24 * 3600
_VARY = {hdrs.VARY: "Accept, Accept-Language, Cookie"}

_Named = Callable[[Snapshot, str, Words], View | None]

# What shows this moment. A name may have slashes, as a network has.
_OF_NOW: Mapping[str, _Named] = {
    "/": lambda snapshot, _, words: views.overview(snapshot, words),
    "/rooms/{name:.+}": views.room,
    "/seats/{name}": views.seat,
    "/swarms/{name:.+}": views.swarm,
}


def attach(app: web.Application, picture: Callable[[], Awaitable[Snapshot]], history: History) -> None:
    """Add the pages of `picture`, which is of this moment, and of what is kept."""
    live = Live(picture)
    app.on_shutdown.append(live.close)

    async def all_kept(request: web.Request) -> web.StreamResponse:
        return _html(request, views.history(await history.summaries(), _words(request)))

    async def kept(request: web.Request) -> web.StreamResponse:
        record = await history.record(request.match_info["name"])
        return _html(request, record and views.deployment(record, _words(request)))

    async def csv(request: web.Request) -> web.StreamResponse:
        text = files.in_csv(await history.summaries())
        headers = {**NOT_KEPT, "Content-Disposition": 'attachment; filename="history.csv"'}
        return packed(request, web.Response(text=text, content_type="text/csv", headers=headers))

    async def json(request: web.Request) -> web.StreamResponse:
        return packed(request, in_json(files.as_json(await history.summaries())))

    for path, named in _OF_NOW.items():
        app.router.add_get(path, masked(_language_switch(partial(_of_now, live, named))))
    app.router.add_get("/history", masked(_language_switch(all_kept)))
    app.router.add_get("/history/{name}", masked(_language_switch(kept)))
    app.router.add_get("/history.csv", masked(csv))
    app.router.add_get("/history.json", masked(json))


async def _of_now(live: Live, named: _Named, request: web.Request) -> web.StreamResponse:
    name, words = request.match_info.get("name", ""), _words(request)
    key = named, name, words.language
    if not wants_events(request):
        return _html(request, await live.view(key, _made(named, name, words)))
    try:
        response = await live.stream(request, key, _made(named, name, words), _VARY)
    except CrowdedError as error:
        return web.Response(status=503, text=f"{error}\n", headers=NOT_KEPT)
    return response or web.Response(status=404, text="there is no such page now\n", headers=NOT_KEPT | _VARY)


def _made(named: _Named, name: str, words: Words) -> MakeView:
    def make(snapshot: Snapshot) -> View | None:
        view = named(snapshot, name, words)
        # Two languages never look the same, though the names in two pages may.
        return view and replace(view, shape=(words.language, *view.shape))

    return make


def _html(request: web.Request, view: View | None) -> web.Response:
    words = _words(request)
    status = 200 if view is not None else 404
    text = page.render(views.missing(words) if view is None else view, words)
    headers = {**page.HEADERS, **_VARY}
    return packed(request, web.Response(text=text, status=status, content_type="text/html", headers=headers))


def _words(request: web.Request) -> Words:
    return _WORDS[language(request)]


def _language_switch(answer: Handler) -> Handler:
    """`?lang=es` is remembered, and leads to the same page without it."""

    async def handler(request: web.Request) -> web.StreamResponse:
        wanted = request.query.get(COOKIE, "")
        if wanted not in LANGUAGES:
            return await answer(request)
        # The path is one of ours, so it does not lead elsewhere, as `//elsewhere` would.
        response = web.Response(status=303, headers={**NOT_KEPT, hdrs.LOCATION: request.rel_url.raw_path})
        response.set_cookie(COOKIE, wanted, max_age=_YEAR, path="/", samesite="Lax", httponly=True)
        return response

    return handler
