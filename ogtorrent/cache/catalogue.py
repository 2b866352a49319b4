"""Ask a repository for an image over HTTP, and believe nothing it says unchecked."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

from ogtorrent.errors import (
    BadName,
    HostileMetainfo,
    ImageLocked,
    NotARepository,
    RepositoryUnreachable,
    UnknownImage,
    UpdateFailed,
)
from ogtorrent.layout import ImagePath, Layout, Mirror
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import LARGEST_TORRENT, Metainfo

DEFAULT_PORT = 6969
CONNECT = 5.0  # seconds
ANSWER = 15.0  # seconds for a whole answer
LARGEST_ANSWER = 1024 * 1024  # bytes of JSON


@dataclass(frozen=True)
class Server:
    """A repository as the administrator named it, and its address."""

    host: str
    port: int
    address: str

    @classmethod
    def parse(cls, text: str) -> Server:
        """`SERVER[:PORT]`, resolved. Raises BadName, RepositoryUnreachable."""
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
            host, port = text, str(DEFAULT_PORT)
        host = host.removeprefix("[").removesuffix("]")
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise BadName(text, "a repository is SERVER or SERVER:PORT, without http://")
        try:
            address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][4][0]
        except (OSError, UnicodeError) as error:
            raise RepositoryUnreachable(text, getattr(error, "strerror", None) or str(error)) from error
        return cls(host, int(port), str(address))

    @property
    def announce(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{address}:{self.port}/announce"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


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
    status, body = _get(server, f"/catalogue/{urllib.parse.quote(str(image))}", LARGEST_ANSWER)
    answer = _answer(server, status, body)
    if status == 404:
        # What a server says must not move the cursor of the administrator's terminal.
        near = [name for name in _strings(answer.get("near")) if name.isprintable() and _is_image(name)]
        raise UnknownImage(str(image), str(server), near[:3])
    mirror = _mirror(server, answer)
    _check_state(server, image, answer)
    status, raw = _get(server, f"/torrents/{urllib.parse.quote(str(image))}.torrent", LARGEST_TORRENT)
    if status != 200:
        raise ImageLocked(str(image), "the repository has just withdrawn it to publish it anew")
    published = metainfo.decode(raw, str(image))
    if published.image != image or published.name != mirror.name:
        raise HostileMetainfo(str(image), f"it describes {published.name}/{published.image}")
    if published.stamp is None:
        raise HostileMetainfo(str(image), "it has no stamp of the image's times and sums")
    return Offer(server, mirror, published)


def _check_state(server: Server, image: ImagePath, answer: dict[str, Any]) -> None:
    match answer.get("state"):
        case "ready":
            return
        case "locked":
            raise ImageLocked(str(image), f"{image.name}.lock stands beside it on the repository")
        case "waiting":
            raise ImageLocked(str(image), "it is being written on the repository")
        case "hashing":
            done, size = answer.get("hashed", 0), answer.get("size", 0)
            counted = isinstance(done, int) and isinstance(size, int) and 0 <= done <= size > 0
            part = f", {100 * done // size} % done" if counted else ""
            raise ImageLocked(str(image), f"the repository is hashing it{part}")
        case "refused":
            why = "".join(letter for letter in str(answer.get("why"))[:500] if letter.isprintable())
            why = why.removesuffix(".")
            raise UpdateFailed(str(image), f"the repository refuses it: {why}", "Mend it there.")
        case _:
            raise NotARepository(str(server), "it names a state that is none")


def _mirror(server: Server, answer: dict[str, Any]) -> Mirror:
    try:
        return Mirror(
            Layout(str(answer.get("layout"))), str(answer.get("name")), str(answer.get("package") or "")
        )
    except (ValueError, BadName) as error:
        raise NotARepository(str(server), f"its layout is none of ours ({error})") from error


def _answer(server: Server, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or "ogtorrent" not in answer:
        raise NotARepository(str(server), f"its catalogue is none (HTTP {status})")
    if answer["ogtorrent"] != 1:
        raise NotARepository(
            str(server),
            f"it speaks version {str(answer['ogtorrent'])[:20]!r} of the catalogue, this seat version 1",
        )
    if status not in (200, 404):
        raise NotARepository(str(server), f"it answered HTTP {status}")
    return answer


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _is_image(name: str) -> bool:
    try:
        ImagePath.parse(name)
    except BadName:
        return False
    return True


def _get(server: Server, path: str, largest: int) -> tuple[int, bytes]:
    deadline = time.monotonic() + ANSWER
    connection = http.client.HTTPConnection(server.address, server.port, timeout=CONNECT)
    watchdog: threading.Timer | None = None
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER)
        # That timeout begins anew with every byte: a server that drips must not hold a seat for ever.
        watchdog = threading.Timer(ANSWER, _hang_up, (connection.sock,))
        watchdog.daemon = True
        watchdog.start()
        connection.request("GET", path, headers={"Host": str(server)})
        response = connection.getresponse()
        body = response.read(largest + 1)
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > largest:
            raise NotARepository(str(server), f"its answer to {path} is longer than {largest} bytes")
        return response.status, body
    except TimeoutError as error:
        raise RepositoryUnreachable(str(server), "it took too long to answer") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() > deadline:
            raise RepositoryUnreachable(str(server), "it took too long to answer") from error
        if isinstance(error, OSError) and not isinstance(error, http.client.HTTPException):
            raise RepositoryUnreachable(str(server), error.strerror or str(error)) from error
        raise NotARepository(str(server), f"it does not speak HTTP ({type(error).__name__})") from error
    finally:
        if watchdog is not None:
            watchdog.cancel()
        connection.close()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was closed in this instant
        connection.shutdown(socket.SHUT_RDWR)
