"""Each image's `.mcast`: written by publishing, kept, and never the same for two."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import Server, image, until

from ogtorrent.layout import ImagePath, Root, recognise
from ogtorrent.multicast import MulticastSession
from ogtorrent.repository.publish import publish


def published(root: Root, name: str) -> Path:
    publish(root, ImagePath.parse(name), ("http://127.0.0.1:1/announce",), lambda done: None)
    return root.path / f"{name}.mcast"


def test_an_image_keeps_its_session_and_a_copy_gets_another(tmp_path: Path) -> None:
    root = recognise(tmp_path)
    for name in ("a.img", "aula1/b.img"):
        image(tmp_path / name, 1000)
    first, second = published(root, "a.img"), published(root, "aula1/b.img")
    given = MulticastSession.parse(first.read_text().strip())
    other = MulticastSession.parse(second.read_text().strip())
    assert given.address != other.address and given.port_base != other.port_base

    image(tmp_path / "a.img", 2000, seed=2)
    assert published(root, "a.img").read_text() == f"{given}\n"
    edited = str(given).replace("70M", "900M")
    first.write_text(edited)
    assert published(root, "a.img").read_text() == edited

    image(tmp_path / "copy.img", 1000)
    (tmp_path / "copy.img.mcast").write_text(edited)
    assert MulticastSession.parse(published(root, "copy.img").read_text().strip()).address != given.address
    assert first.read_text() == edited

    first.write_text("9000:mine")  # its writer's to mend, and no reason not to publish
    assert published(root, "a.img").read_text() == "9000:mine"


@pytest.mark.room
def test_the_server_gives_a_session_to_what_was_published_before_and_takes_it_back_with_the_image(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    root = tmp_path / "images"
    place = image(root / "windows.img", 1000)
    image(root / "clone.img" / "sda1", 1000)
    kept = published(recognise(root), "windows.img")
    kept.unlink()
    served = serve(root)
    served.ready("windows.img")
    served.ready("clone.img")
    assert MulticastSession.parse(kept.read_text().strip())
    assert not (served.root / "clone.img.mcast").exists()
    place.unlink()
    until(lambda: not kept.exists())


def ask(server: Server, image: str, body: object = None) -> tuple[int, dict[str, object]]:
    data = json.dumps(body).encode() if body is not None else b""
    request = urllib.request.Request(f"http://{server.address}/multicast/{image}", data, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.room
def test_seats_join_one_session_that_waits_for_more(served: Server) -> None:
    found = served.ready(image(served.root / "windows.img", 1000).name)
    image(served.root / "clone.img" / "sda1", 1000)
    served.ready("clone.img")
    assert json.loads(served.get("/multicast/windows.img")[1])["error"]
    session = "9000:full-duplex:239.194.17.36:70M:50:600"
    status, first = ask(served, "windows.img", {"session": session, "info_hash": found.info_hash.hex()})
    assert (status, first["session"], first["state"], first["seats"]) == (200, session, "waiting", 1)
    # Whatever another one would have, it is this session that there is.
    status, again = ask(served, "windows.img", {"session": session.replace("9000", "9002")})
    assert (status, again["session"], again["seats"]) == (200, session, 1)
    assert json.loads(served.get("/multicast/windows.img")[1])["state"] == "waiting"

    assert ask(served, "windows.img", {"info_hash": "00" * 20})[0] == 409
    assert ask(served, "windows.img", {"session": "9001:full-duplex"})[0] == 400
    (served.root / "other.img.mcast").write_text("9000:mine")
    served.ready(image(served.root / "other.img", 1000).name)
    status, refused = ask(served, "other.img")
    assert (status, refused["session"]) == (400, "9000:mine")
    assert ask(served, "windows.img", ["session"])[0] == 400
    assert ask(served, "clone.img")[0] == 409
    assert ask(served, "unknown.img")[0] == 404


@pytest.mark.room
def test_a_seat_holds_up_one_session_however_many_it_asks_for(served: Server) -> None:
    names = [f"{number}.img" for number in range(6)]
    for number, name in enumerate(names):
        image(served.root / name, 1000, seed=number)
    session = "9000:full-duplex:239.194.17.36:70M:50:86400"
    for name in names:
        served.ready(name)
        status, told = ask(served, name, {"session": session})
        assert (status, told.get("seats"), told.get("session")) == (200, 1, session), told
    until(lambda: served.get(f"/multicast/{names[0]}")[0] == 404)
    assert json.loads(served.get(f"/multicast/{names[-1]}")[1])["state"] == "waiting"
