"""The catalogue over HTTP: what the repository publishes, and each image's metainfo.

GET /catalogue                 all images
GET /catalogue/aula1/win.img   one image; 404 with near names
GET /torrents/aula1/win.img.torrent
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Protocol

from aiohttp import web

from ogtorrent.errors import BadName
from ogtorrent.layout import ImagePath, Mirror, Root, Sidecar
from ogtorrent.repository.mirror.notes import Note, Notes
from ogtorrent.repository.mirror.notes import State as Mirrored
from ogtorrent.repository.publisher import Entry, State

VERSION = 1  # of the form of these answers


class Shelf(Protocol):
    """What a catalogue shows: a Publisher, or a disk as it stands."""

    @property
    def root(self) -> Root: ...
    @property
    def catalogue(self) -> dict[ImagePath, Entry]: ...


PUBLISHER = web.AppKey[Shelf]("publisher")
MIRRORED = web.AppKey[Notes]("mirrored", dict)


def attach(app: web.Application, publisher: Shelf, notes: Notes) -> None:
    """Add the catalogue's routes to an application. `notes`: what a mirror does with each image."""
    app[PUBLISHER] = publisher
    app[MIRRORED] = notes
    app.router.add_get("/catalogue", _catalogue)
    app.router.add_get("/catalogue/{image:.+}", _image)
    app.router.add_get("/torrents/{torrent:.+}", _torrent)


async def _catalogue(request: web.Request) -> web.Response:
    publisher = request.app[PUBLISHER]
    notes = request.app[MIRRORED].copy()
    entries = {image: _on_its_way(image, note) for image, note in notes.items() if note.state in _COMING}
    entries |= publisher.catalogue.copy()
    images = [_described(entries[image], notes.get(image)) for image in sorted(entries)]
    return web.json_response({**_repository(publisher.root.mirror), "images": images})


async def _image(request: web.Request) -> web.Response:
    publisher = request.app[PUBLISHER]
    notes = request.app[MIRRORED]
    entry = _entry(publisher, request.match_info["image"], notes)
    if entry is None:
        wanted = request.match_info["image"]
        return web.json_response(
            {
                **_repository(publisher.root.mirror),
                "error": f"no image {wanted!r} here",
                "near": near(wanted, publisher.catalogue.copy()),
            },
            status=404,
        )
    return web.json_response(
        {**_repository(publisher.root.mirror), **_described(entry, notes.get(entry.image))}
    )


async def _torrent(request: web.Request) -> web.Response:
    torrent = request.match_info["torrent"]
    entry = _entry(request.app[PUBLISHER], torrent.removesuffix(Sidecar.TORRENT), {})
    if entry is None or entry.metainfo is None or not torrent.endswith(Sidecar.TORRENT):
        return web.json_response({"error": f"no {torrent!r} here"}, status=404)
    return web.Response(body=entry.metainfo.raw, content_type="application/x-bittorrent")


def _entry(publisher: Shelf, named: str, notes: Notes) -> Entry | None:
    try:
        image = ImagePath.parse(named)
    except BadName:
        return None
    entry, note = publisher.catalogue.get(image), notes.get(image)
    if entry is None and note is not None and note.state in _COMING:
        return _on_its_way(image, note)
    return entry


# Of an image that does not stand here: what its entry is.
_COMING = {Mirrored.COMING: State.MIRRORING, Mirrored.FAILED: State.REFUSED}


def _on_its_way(image: ImagePath, note: Note) -> Entry:
    return Entry(image, _COMING[note.state], note.size, note.done, note.why)


def _repository(mirror: Mirror) -> dict[str, Any]:
    return {
        "ogtorrent": VERSION,
        "layout": str(mirror.layout),
        "name": mirror.name,
        "package": mirror.package,
    }


def _described(entry: Entry, note: Note | None) -> dict[str, Any]:
    return {
        "image": str(entry.image),
        "state": str(entry.state),
        "size": entry.size,
        "hashed": entry.hashed,
        "why": entry.why,
        "info_hash": entry.metainfo.info_hash.hex() if entry.metainfo is not None else None,
        "mirror": asdict(note) if note is not None else None,
    }


def near(wanted: str, images: Iterable[ImagePath]) -> list[str]:
    """Images that an administrator may have meant: of the same name elsewhere, or spelt alike."""
    names = sorted(str(image) for image in images)
    folded = {name.casefold(): name for name in names}
    tail = wanted.rsplit("/", 1)[-1].casefold()
    same = [name for name in names if name.casefold().rsplit("/", 1)[-1] == tail]
    alike = difflib.get_close_matches(wanted.casefold(), folded, n=3, cutoff=0.6)
    return list(dict.fromkeys(same + [folded[name] for name in alike]))[:3]
