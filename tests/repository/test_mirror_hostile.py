"""A source that lies: nothing that it says is believed unchecked, and the server serves on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import Server, published, until

from ogtorrent.errors import NotARepository
from ogtorrent.fetch.catalogue import images
from ogtorrent.fetch.server import Server as Asked

pytestmark = pytest.mark.room

REPOSITORY = {"ogtorrent": 1, "layout": "bare", "name": "images", "package": ""}


class Liar:
    """An HTTP server that answers what it was told to."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = outer.answers.get(self.path)
                self.send_response(404 if body is None else 200)
                self.end_headers()
                self.wfile.write(body or b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def lists(self, *entries: object) -> None:
        self.answers["/catalogue"] = json.dumps({**REPOSITORY, "images": entries}).encode()

    def offers(self, image: str, raw: bytes, **entry: Any) -> dict[str, Any]:
        found = {"image": image, "state": "ready", "size": 1000, "info_hash": "ab" * 20, **entry}
        self.answers[f"/catalogue/{image}"] = json.dumps({**REPOSITORY, **found}).encode()
        self.answers[f"/torrents/{image}.torrent"] = raw
        return found


@pytest.fixture
def liar() -> Iterator[Liar]:
    server = Liar()
    yield server
    server.close()


def torrent(image: str, *paths: list[str], name: str = "images", of: str = "") -> bytes:
    """Metainfo of files of 1000 bytes each, that says it is of `image`."""
    files = [{b"length": 1000, b"path": [part.encode() for part in path]} for path in paths]
    pieces = hashlib.sha1(bytes(1000)).digest() * -(-len(files) * 1000 // 16384)
    info = {b"files": files, b"name": name.encode(), b"piece length": 16384, b"pieces": pieces}
    stamp = {
        b"image": (of or image).encode(),
        b"directory": int(paths[0] != image.split("/")),
        b"mtimes": b" ".join(b"1" for _ in files),
        b"sum": b"0" * 32,
        b"full.sum": b"0" * 32,
    }
    return bytes(lt.bencode({b"info": info, b"ogtorrent": stamp}))


def test_what_a_liar_offers_is_refused_and_the_server_serves_on(
    liar: Liar, serve: Callable[..., Server], tmp_path: Path
) -> None:
    root = tmp_path / "here" / "images"
    published(root / "own.img", root, 100_000)
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    published(root / "mine" / "own.img", root, 1000)
    own = (root / "mine" / "own.img").read_bytes()
    huge = 2**40
    bad = [
        liar.offers("up.img", torrent("up.img", ["up.img", "..", "..", "passwd"])),
        liar.offers("abs.img", torrent("abs.img", ["abs.img", "/etc/passwd"])),
        liar.offers("other.img", torrent("own.img", ["own.img"])),
        liar.offers("name.img", torrent("name.img", ["name.img"], name="..")),
        liar.offers("junk.img", b"d4:infod"),
        liar.offers("linked/x.img", torrent("linked/x.img", ["linked", "x.img"])),
        liar.offers("mine/own.img/in.img", torrent("mine/own.img/in.img", ["mine", "own.img", "in.img"])),
        liar.offers("mine", torrent("mine", ["mine", "own.img"])),
        liar.offers("zzz.img", torrent("zzz.img", ["zzz.img"]), size=huge),
    ]
    nonsense: list[object] = [
        None,
        7,
        {},
        {"image": "../up"},
        {"image": ".hidden", "state": "ready", "size": 1},
    ]
    nonsense += [
        {"image": "a.img", "state": "ready", "size": -1},
        {"image": "b.img", "state": [], "size": 1e99},
    ]
    liar.lists(*bad, *nonsense)
    server = serve(root, "--mirror", f"http://{liar.address}")
    names = [entry["image"] for entry in bad if entry["image"] not in ("zzz.img", "mine")]
    until(lambda: all(server.state(name) == "refused" for name in names if "own.img/" not in name))
    assert server.ready("own.img") and server.state("mine/own.img") == "ready"
    until(lambda: "one of ours" in server.log or "is an image here" in server.log)
    liar.lists(*bad[:-1])
    until(lambda: "has another version by now" in server.log)
    liar.answers["/catalogue"] = b"[" * 100_000
    until(lambda: "not as a repository" in server.log)
    assert (root / "mine" / "own.img").read_bytes() == own
    assert list((tmp_path / "elsewhere").iterdir()) == []
    left = {path.name for path in root.rglob("*.img")}
    assert left <= {"own.img"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ENTRIES = st.fixed_dictionaries(
    {"image": st.just("a.img") | SCALARS, "state": st.just("ready") | SCALARS, "size": SCALARS},
    optional={"info_hash": st.just("ab" * 20) | SCALARS},
)


@given(st.lists(ENTRIES | SCALARS) | SCALARS)
def test_any_json_is_a_list_of_images_or_no_repository(entries: object) -> None:
    server = Answering(json.dumps({**REPOSITORY, "images": entries}).encode())
    try:
        listed = images(server)
    except NotARepository:
        return
    assert all(one.size >= 0 and (one.version == "" or len(one.version) == 40) for one in listed)


class Answering(Asked):
    def __init__(self, body: bytes) -> None:
        super().__init__("liar", 1, "127.0.0.1")
        object.__setattr__(self, "body", body)

    def get(self, path: str, largest: int) -> tuple[int, bytes]:
        body: bytes = vars(self)["body"]
        return 200, body
