"""`update-cache --protocol`: HTTP from the repository alone, and what is refused before a byte moves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import Seat, Server, image, until

Serve, Seats = Callable[..., Server], Callable[..., Seat]
UNICAST = ("--protocol", "unicast")


def contents(top: Path) -> dict[str, str]:
    files = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
    return {str(file.relative_to(top)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_unicast_brings_files_and_directories_from_the_repository_and_seeds_them(
    served: Server, seat: Seats
) -> None:
    image(served.root / "aula 1" / "wíndows#1.img", 3 * 2**20 + 5)
    image(served.root / "clone.img" / "sda1", 700_000)
    image(served.root / "clone.img" / "parts" / "sda2 %", 300_001, seed=2)
    (served.root / "clone.img" / "empty").touch()
    for name in ("aula 1/wíndows#1.img", "clone.img"):
        found = served.ready(name)
        pc = seat()
        subdir, _, last = name.rpartition("/")
        done = pc.update(served.address, last, *UNICAST, subdir=subdir or "/").done
        assert (done.from_seats, done.from_repository) == (0, done.fetched)
        assert done.fetched >= found.size
        assert contents(pc.cache / "images" / name) == contents(served.root / name)
        until(lambda found=found, pc=pc: served.peers(found).get(pc.address) == "seeding")


def test_who_may_not_announce_is_given_no_bytes_and_joins_no_session(
    serve: Serve, tmp_path: Path, seat: Seats
) -> None:
    image(tmp_path / "images" / "windows.img", 100_000)
    server = serve(tmp_path / "images", "--trust-proxy", "127.0.0.0/8")
    server.ready("windows.img")
    refused = seat().update(server.address, "windows.img", *UNICAST)
    assert (refused.code, "403" in refused.said) == (60, True), refused.said
    refused = seat().update(server.address, "windows.img", "--protocol", "multicast")
    assert refused.code == 60
    assert "none of the networks whose PCs may announce" in refused.said


@pytest.mark.parametrize(
    "path",
    [
        "images/windows.img.torrent",
        "images/../images/windows.img",
        "other/windows.img",
        "images/.windows.img.part",
        "images/clone.img",
        "images/clone.img/%2e%2e/.windows.img.part",
    ],
)
def test_only_the_files_of_published_images_are_given(served: Server, path: str) -> None:
    image(served.root / "windows.img", 1000)
    image(served.root / "clone.img" / "sda1", 1000)
    served.ready("windows.img")
    served.ready("clone.img")
    (served.root / ".windows.img.part").write_bytes(b"unfinished")
    assert served.get(f"/files/{path}")[0] == 404
    assert served.get("/files/images/windows.img") == (200, (served.root / "windows.img").read_bytes())


def test_a_session_that_somebody_wrote_wrongly_beside_the_image_is_told_as_such(
    served: Server, seat: Seats
) -> None:
    (served.root / "windows.img.mcast").write_text("9001:full-duplex:239.194.17.36:70M:50:60")
    served.ready(image(served.root / "windows.img", 1000).name)
    refused = seat().update(served.address, "windows.img", "--protocol", "multicast")
    assert (refused.code, "its port base" in refused.said) == (55, True), refused.said


def test_a_session_string_is_read_before_anybody_is_asked(seat: Seats) -> None:
    refused = seat().update(
        "127.0.0.1:1", "windows.img", "--protocol", "multicast", "--session", "9001:full-duplex"
    )
    assert (refused.code, "9000:full-duplex:239.194.17.36:70M:50:60" in refused.said) == (55, True)
    assert json.loads(json.dumps(refused.events[-1].exit_code)) == 55
