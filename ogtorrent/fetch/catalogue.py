"""Ask a repository for an image over HTTP, and believe nothing it says unchecked."""

from __future__ import annotations

import json
import re
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
from ogtorrent.swarm.metainfo import LARGEST_IMAGE, LARGEST_TORRENT, Metainfo
from ogtorrent.words import words

LARGEST_ANSWER = 1024 * 1024  # bytes of JSON
LARGEST_LIST = 16 * LARGEST_ANSWER  # of all images
_HASH = re.compile("[0-9a-f]{40}").fullmatch


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
    answer = answered(server, status, body)
    if status == 404:
        near = [name for name in _strings(answer.get("near")) if printable(name) == name and _is_image(name)]
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


@dataclass(frozen=True)
class Listed:
    """An image as a repository lists it; `version` is its info-hash where it is ready, else empty."""

    image: ImagePath
    state: str
    size: int
    version: str = ""


def images(server: Server) -> list[Listed]:
    """All that a repository lists; what cannot be an image's entry is passed over.

    Raises RepositoryUnreachable, NotARepository.
    """
    status, body = server.get("/catalogue", LARGEST_LIST)
    answer = answered(server, status, body)
    entries = answer.get("images")
    if status != 200 or not isinstance(entries, list):
        raise NotARepository(str(server), words("its catalogue lists no images"))
    _mirror(server, answer)
    found = {listed.image: listed for listed in map(_listed, entries) if listed is not None}
    return sorted(found.values(), key=lambda listed: listed.image)


def _listed(entry: object) -> Listed | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
        return None
    state, size, version = str(entry.get("state")), entry.get("size"), entry.get("info_hash")
    if not isinstance(size, int) or not 0 <= size <= LARGEST_IMAGE:
        return None
    try:
        image = ImagePath.parse(entry["image"])
    except BadName:
        return None
    if state != "ready":
        return Listed(image, state[:20], size)
    return Listed(image, state, size, version) if isinstance(version, str) and _HASH(version) else None


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
            part = _part(answer)
            if part is None:
                raise ImageLocked(str(image), words("the repository is hashing it"))
            raise ImageLocked(str(image), words("the repository is hashing it, {part} % done", part=part))
        case "mirroring":
            mirror = answer.get("mirror")
            source = printable(mirror.get("source") if isinstance(mirror, dict) else "")
            part = _part(answer) or 0
            raise ImageLocked(
                str(image), words("it is on its way there from {source}, {part} %", source=source, part=part)
            )
        case "refused":
            why = printable(answer.get("why")).removesuffix(".")
            raise UpdateFailed(
                str(image), words("the repository refuses it: {why}", why=why), words("Mend it there.")
            )
        case _:
            raise NotARepository(str(server), words("it names a state that is none"))


def _part(answer: dict[str, Any]) -> int | None:
    """How many per cent are done, where the answer tells."""
    done, size = answer.get("hashed", 0), answer.get("size", 0)
    counted = isinstance(done, int) and isinstance(size, int) and 0 <= done <= size > 0
    return 100 * done // size if counted else None


def printable(told: object, longest: int = 500) -> str:
    """What a server says must not move the cursor of the administrator's terminal."""
    return "".join(letter for letter in str(told)[:longest] if letter.isprintable())


def _mirror(server: Server, answer: dict[str, Any]) -> Mirror:
    try:
        return Mirror(
            Layout(str(answer.get("layout"))), str(answer.get("name")), str(answer.get("package") or "")
        )
    except (ValueError, BadName) as error:
        raise NotARepository(
            str(server), words("its layout is none of ours ({error})", error=error)
        ) from error


def answered(server: Server, status: int, body: bytes) -> dict[str, Any]:
    """What a repository's answer says. Raises NotARepository."""
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
