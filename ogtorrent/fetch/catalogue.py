"""Ask a repository for an image over HTTP, and believe nothing it says unchecked."""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass
from typing import Any

from ogtorrent.errors import (
    BadName,
    HostileMetainfo,
    ImageLocked,
    NotARepository,
    UnknownImage,
    UpdateFailed,
)
from ogtorrent.fetch.server import Server
from ogtorrent.layout import ImagePath, Layout, Mirror
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import LARGEST_TORRENT, Metainfo
from ogtorrent.words import words

LARGEST_ANSWER = 1024 * 1024  # bytes of JSON


@dataclass(frozen=True)
class Offer:
    """An image that a repository has ready."""

    server: Server
    mirror: Mirror
    metainfo: Metainfo


def ask(server: Server, image: ImagePath) -> Offer:
    """Ask for one image.

    Raises RepositoryUnreachable, NotARepository, UnknownImage, ImageLocked, UpdateFailed,
    HostileMetainfo.
    """
    status, body = server.get(f"/catalogue/{urllib.parse.quote(str(image))}", LARGEST_ANSWER)
    answer = _answer(server, status, body)
    if status == 404:
        # What a server says must not move the cursor of the administrator's terminal.
        near = [name for name in _strings(answer.get("near")) if name.isprintable() and _is_image(name)]
        raise UnknownImage(str(image), str(server), near[:3])
    mirror = _mirror(server, answer)
    _check_state(server, image, answer)
    status, raw = server.get(f"/torrents/{urllib.parse.quote(str(image))}.torrent", LARGEST_TORRENT)
    if status != 200:
        raise ImageLocked(str(image), words("the repository has just withdrawn it to publish it anew"))
    published = metainfo.decode(raw, str(image))
    if published.image != image or published.name != mirror.name:
        raise HostileMetainfo(
            str(image), words("it describes {image}", image=f"{published.name}/{published.image}")
        )
    if published.stamp is None:
        raise HostileMetainfo(str(image), words("it has no stamp of the image's times and sums"))
    return Offer(server, mirror, published)


def _check_state(server: Server, image: ImagePath, answer: dict[str, Any]) -> None:
    match answer.get("state"):
        case "ready":
            return
        case "locked":
            raise ImageLocked(
                str(image), words("{lock} stands beside it on the repository", lock=f"{image.name}.lock")
            )
        case "waiting":
            raise ImageLocked(str(image), words("it is being written on the repository"))
        case "hashing":
            done, size = answer.get("hashed", 0), answer.get("size", 0)
            counted = isinstance(done, int) and isinstance(size, int) and 0 <= done <= size > 0
            if not counted:
                raise ImageLocked(str(image), words("the repository is hashing it"))
            part = 100 * done // size
            raise ImageLocked(str(image), words("the repository is hashing it, {part} % done", part=part))
        case "refused":
            why = "".join(letter for letter in str(answer.get("why"))[:500] if letter.isprintable())
            why = why.removesuffix(".")
            raise UpdateFailed(
                str(image), words("the repository refuses it: {why}", why=why), words("Mend it there.")
            )
        case _:
            raise NotARepository(str(server), words("it names a state that is none"))


def _mirror(server: Server, answer: dict[str, Any]) -> Mirror:
    try:
        return Mirror(
            Layout(str(answer.get("layout"))), str(answer.get("name")), str(answer.get("package") or "")
        )
    except (ValueError, BadName) as error:
        raise NotARepository(
            str(server), words("its layout is none of ours ({error})", error=error)
        ) from error


def _answer(server: Server, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or "ogtorrent" not in answer:
        raise NotARepository(str(server), words("its catalogue is none (HTTP {status})", status=status))
    if answer["ogtorrent"] != 1:
        raise NotARepository(
            str(server),
            words(
                "it speaks version {version!r} of the catalogue, this seat version 1",
                version=str(answer["ogtorrent"])[:20],
            ),
        )
    if status not in (200, 404):
        raise NotARepository(str(server), words("it answered HTTP {status}", status=status))
    return answer


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _is_image(name: str) -> bool:
    try:
        ImagePath.parse(name)
    except BadName:
        return False
    return True
