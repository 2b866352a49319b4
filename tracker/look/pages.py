"""The pages: each has one address, which answers as HTML and, where it shows this moment, as live events."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from aiohttp import hdrs, web

from tracker.classroom.snapshot import Snapshot
from tracker.look import history_files, page, views
from tracker.look.answers import NOT_KEPT, Handler, in_json, masked, packed
from tracker.look.asked import COOKIE, wants_events, words_for
from tracker.look.live import CrowdedError, Live, MakeView
from tracker.look.view import View
from tracker.tracker import Tracker
from tracker.words import LANGUAGES, Words

_YEAR = 365 * 24 * 3600
_VARY: Mapping[str, str] = {"Vary": "Accept, Accept-Language, Cookie"}
_NO_DEPLOYMENT = "there is no deployment of this id"

_Named = Callable[[Snapshot, str, Words], View | None]

# What shows this moment. A name may have slashes, as a network has.
_OF_NOW: Mapping[str, _Named] = {
    "/": lambda snapshot, _, words: views.overview(snapshot, words),
    "/rooms/{name:.+}": views.room,
    "/seats/{name}": views.seat,
    "/swarms/{name:.+}": views.swarm,
}


def attach(app: web.Application, tracker: Tracker) -> None:
    """Add `/`, the pages of rooms, seats and swarms, and the history."""
    live = Live(tracker.picture, tracker.watch.next_picture)
    app.on_shutdown.append(live.close)
    for path, named in _OF_NOW.items():
        app.router.add_get(path, masked(_switching_language(partial(_of_now, live, named))))
    _attach_history(app, tracker)


def _attach_history(app: web.Application, tracker: Tracker) -> None:
    history = tracker.watch.history

    async def all_kept(request: web.Request) -> web.StreamResponse:
        return _html(request, views.history(await history.summaries(), words_for(request)))

    async def kept(request: web.Request) -> web.StreamResponse:
        record = await history.record(request.match_info["id"])
        return _html(request, views.deployment(record, words_for(request)) if record else None)

    async def all_in_json(request: web.Request) -> web.StreamResponse:
        return packed(request, in_json(history_files.deployments_json(await history.summaries())))

    async def all_in_csv(request: web.Request) -> web.StreamResponse:
        return _csv(request, history_files.deployments_csv(await history.summaries()), "history")

    async def one_in_json(request: web.Request) -> web.StreamResponse:
        record = await history.record(request.match_info["id"])
        if record is None:
            return in_json({"error": _NO_DEPLOYMENT}, status=404)
        return packed(request, in_json(history_files.deployment_json(record)))

    async def one_in_csv(request: web.Request) -> web.StreamResponse:
        record = await history.record(request.match_info["id"])
        if record is None:
            return in_json({"error": _NO_DEPLOYMENT}, status=404)
        return _csv(request, history_files.seats_csv(record), "deployment")

    app.router.add_get("/history", masked(_switching_language(all_kept)))
    app.router.add_get("/history.json", masked(all_in_json))
    app.router.add_get("/history.csv", masked(all_in_csv))
    # Before the page, whose pattern they fit, too.
    app.router.add_get("/history/{id}.json", masked(one_in_json))
    app.router.add_get("/history/{id}.csv", masked(one_in_csv))
    app.router.add_get("/history/{id}", masked(_switching_language(kept)))


async def _of_now(live: Live, named: _Named, request: web.Request) -> web.StreamResponse:
    name, words = request.match_info.get("name", ""), words_for(request)
    key, make = (named, name, words.language), _made(named, name, words)
    if not wants_events(request):
        return _html(request, await live.view(key, make))
    try:
        response = await live.stream(request, key, make, _VARY)
    except CrowdedError as error:
        return web.Response(status=503, text=f"{error}\n", headers=NOT_KEPT)
    return response or web.Response(status=404, text="there is no such page now\n", headers=NOT_KEPT)


def _made(named: _Named, name: str, words: Words) -> MakeView:
    def make(snapshot: Snapshot) -> View | None:
        view = named(snapshot, name, words)
        # Two languages never have one shape, though all that is in it may be names.
        return view and replace(view, shape=(words.language, *view.shape))

    return make


def _html(request: web.Request, view: View | None) -> web.Response:
    words = words_for(request)
    text = page.render(view or views.missing(words), words)
    status = 404 if view is None else 200
    headers = {**page.HEADERS, **_VARY}
    return packed(request, web.Response(text=text, status=status, content_type="text/html", headers=headers))


def _csv(request: web.Request, text: str, name: str) -> web.Response:
    headers = {**NOT_KEPT, hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.csv"'}
    return packed(request, web.Response(text=text, content_type="text/csv", headers=headers))


def _switching_language(answer: Handler) -> Handler:
    """`?lang=es` is remembered, and leads to the same page without it."""

    async def handler(request: web.Request) -> web.StreamResponse:
        wanted = request.query.get(COOKIE, "")
        if wanted not in LANGUAGES:
            return await answer(request)
        # The path fits one of ours: it does not lead elsewhere, as `//elsewhere` would.
        headers = {**NOT_KEPT, hdrs.LOCATION: request.rel_url.raw_path}
        response = web.Response(status=303, headers=headers)
        response.set_cookie(COOKIE, wanted, max_age=_YEAR, path="/", samesite="Lax", httponly=True)
        return response

    return handler
