"""A server keeps images of another one in step: two real servers on loopback, and seats of the second."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from machines import Seat, Server, image, published, until

from ogtorrent.swarm.metainfo import Metainfo, piece_length

pytestmark = pytest.mark.room

MIB = 2**20
SIZE = 8 * MIB
SLOW = 2 * MIB  # bytes a second
LOCKED = 4
WINDOWS = "aula1/windows.img"
Serve, Seats = Callable[..., Server], Callable[..., Seat]


@pytest.fixture
def campus(tmp_path: Path) -> Path:
    """The root of the server that is mirrored, with one image."""
    root = tmp_path / "campus" / "images"
    published(root / WINDOWS, root, SIZE)
    return root


@pytest.fixture
def building(tmp_path: Path) -> Path:
    """The root of the server that mirrors, empty."""
    (tmp_path / "building" / "images").mkdir(parents=True)
    return tmp_path / "building" / "images"


def rebuilt(place: Path, at: int) -> None:
    """The image with another byte there, written beside and renamed."""
    content = bytearray(place.read_bytes())
    content[at] ^= 1
    aside = place.with_name(f".{place.name}.new")
    aside.write_bytes(content)
    aside.rename(place)


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes() and one.stat().st_mtime_ns == other.stat().st_mtime_ns


def mirror(server: Server, image: str) -> dict[str, Any]:
    found: dict[str, Any] = server.entry(image).get("mirror") or {}
    return found


def brought(server: Server) -> list[int]:
    """Bytes that came of each image that was brought."""
    return [int(count) for count in re.findall(r"brought from .* (\d+) bytes", server.log)]


def begun(server: Server, image: str) -> bool:
    entry = server.entry(image)
    return entry.get("state") == "mirroring" and entry["hashed"] > 0


def test_an_image_comes_with_its_info_hash_and_later_what_changed_of_it(
    serve: Serve, seat: Seats, campus: Path, building: Path
) -> None:
    published(campus / "linux.img", campus, MIB)
    source = serve(campus)
    here = serve(building, "--mirror", f"http://{source.address}", "--mirror-image", "windows*")
    theirs, ours = source.ready(WINDOWS), here.ready(WINDOWS)
    assert ours.info_hash == theirs.info_hash
    assert ours.trackers == (f"http://{here.address}/announce",)
    assert same(building / WINDOWS, campus / WINDOWS)
    for kind in (".sum", ".full.sum"):
        assert (building / f"{WINDOWS}{kind}").read_text() == (campus / f"{WINDOWS}{kind}").read_text()
    assert (building / f"{WINDOWS}.mcast").exists(), "its seats may have it by multicast, too"
    until(lambda: mirror(here, WINDOWS)["state"] == "in step")
    assert here.state("linux.img") == "unknown", "it was not chosen"

    rebuilt(campus / WINDOWS, at=5 * MIB)
    here.ready(WINDOWS, but=ours)
    assert same(building / WINDOWS, campus / WINDOWS)
    first, second = brought(here)
    assert second <= piece_length(SIZE) < SIZE // 2 < first
    done = seat().update(here.address, "windows.img", subdir="aula1").done
    assert done.size == SIZE
    assert "hashing" not in here.log, "the swarm has verified every piece"

    (campus / WINDOWS).unlink()
    until(lambda: mirror(here, WINDOWS)["state"] == "kept")
    assert here.state(WINDOWS) == "ready" and "it is kept here" in here.log
    assert [path.name for path in building.rglob("*.part*")] == []


def test_under_a_root_of_another_name_the_hashes_of_the_pieces_stay(
    serve: Serve, seat: Seats, campus: Path, tmp_path: Path
) -> None:
    image(campus / "clone" / "sda1", 100_000)
    (campus / "clone" / "clonezilla-img").touch()
    image(campus / "notes.txt", 1000)
    root = tmp_path / "var" / "opt" / "eac" / "hdimages"
    root.mkdir(parents=True)
    source = serve(campus)
    here = serve(root, "--mirror", f"http://{source.address}")
    theirs, ours = source.ready("clone"), here.ready("clone")
    assert (ours.name, ours.hashes()) == ("hdimages", theirs.hashes())
    assert same(root / "clone" / "sda1", campus / "clone" / "sda1")
    here.ready(WINDOWS)
    until(lambda: here.state("notes.txt") == "refused")
    assert "the layout eac has no image of that name" in here.entry("notes.txt")["why"]
    assert seat().update(here.address, "clone").code == 0
    assert "hashing" not in here.log


def test_what_was_changed_here_stays_and_what_is_the_same_is_taken_for_it(
    serve: Serve, campus: Path, building: Path
) -> None:
    published(campus / "linux.img", campus, MIB)
    published(building / "linux.img", building, MIB)
    published(building / WINDOWS, building, SIZE, seed=1)
    mine = (building / WINDOWS).read_bytes()
    source = serve(campus)
    here = serve(building, "--mirror", f"http://{source.address}")
    until(lambda: mirror(here, WINDOWS).get("state") == "conflict")
    until(lambda: mirror(here, "linux.img").get("state") == "in step")
    assert here.state(WINDOWS) == "ready" and "Rename or remove it here" in here.log
    assert (building / WINDOWS).read_bytes() == mine and brought(here) == []

    old = here.ready("linux.img")
    rebuilt(campus / "linux.img", at=0)
    here.ready("linux.img", but=old)
    assert same(building / "linux.img", campus / "linux.img")


def test_a_seat_hears_that_an_image_is_on_its_way_and_both_servers_may_die(
    tmp_path: Path, serve: Serve, seat: Seats, campus: Path, building: Path
) -> None:
    source = serve(campus, line=SLOW)
    options = ["--mirror", f"http://{source.address}"]
    first = Server(tmp_path / "first", building, *options)
    until(lambda: begun(first, WINDOWS))
    told = seat().update(first.address, "windows.img", subdir="aula1")
    assert told.code == LOCKED
    assert re.search(rf"on its way there from http://{source.address}, \d+ %", told.said)
    until((building / "aula1" / ".windows.img.safe").exists)
    first.process.kill()
    first.wait()

    here = serve(building, *options)
    until(lambda: begun(here, WINDOWS))
    source.process.kill()
    source.wait()
    second = Server(tmp_path / "second", campus, "--listen", source.address)
    here.ready(WINDOWS)
    assert same(building / WINDOWS, campus / WINDOWS)
    assert brought(here)[0] < SIZE, "what had come is not fetched again"
    assert second.end() == 0 and "Traceback" not in second.log
    until(lambda: "does not answer" in here.log)
    assert here.state(WINDOWS) == "ready"


def test_a_mirror_keeps_its_sources_form_and_changes_it_without_a_byte(
    tmp_path: Path, serve: Serve, campus: Path, building: Path
) -> None:
    before = Server(tmp_path / "before", campus, "--single-file")
    single = before.ready(WINDOWS)
    mirrors = ("--mirror", f"http://{before.address}")
    first = Server(tmp_path / "first", building, *mirrors)
    assert first.ready(WINDOWS).info_hash == single.info_hash
    inode = (building / WINDOWS).stat().st_ino
    assert first.end() == 0
    here = serve(building, *mirrors)
    assert here.ready(WINDOWS).info_hash == single.info_hash
    assert before.end() == 0
    tree = serve(campus, "--listen", before.address).ready(WINDOWS)
    assert tree.info_hash != single.info_hash
    assert here.ready(WINDOWS, but=single).info_hash == tree.info_hash
    until(lambda: mirror(here, WINDOWS)["state"] == "in step")
    assert (building / WINDOWS).stat().st_ino == inode
    assert brought(here) == []


def test_what_is_the_same_here_gets_the_sources_form(serve: Serve, campus: Path, building: Path) -> None:
    published(building / WINDOWS, building, SIZE)
    source = serve(campus, "--single-file")
    single = source.ready(WINDOWS)
    here = serve(building, "--mirror", f"http://{source.address}")
    until(lambda: here.entry(WINDOWS).get("info_hash") == single.info_hash.hex())
    until(lambda: mirror(here, WINDOWS).get("state") == "in step")
    assert brought(here) == []


def test_a_new_version_comes_while_the_old_one_is_on_its_way(
    serve: Serve, campus: Path, building: Path
) -> None:
    source = serve(campus, line=SLOW)
    here = serve(building, "--mirror", f"http://{source.address}")
    until(lambda: begun(here, WINDOWS))
    old: Metainfo = source.ready(WINDOWS)
    rebuilt(campus / WINDOWS, at=SIZE // 2)
    new = source.ready(WINDOWS, but=old)
    assert here.ready(WINDOWS).info_hash == new.info_hash
    assert same(building / WINDOWS, campus / WINDOWS)


def test_a_folder_is_mirrored_and_hashed_once(serve: Serve, building: Path, tmp_path: Path) -> None:
    nas = tmp_path / "nas" / "opt" / "opengnsys" / "images"
    for name in (WINDOWS, "locked.img"):
        os.utime(image(nas / name, SIZE), (1e9, 1e9))
    os.utime(image(nas / "notes.txt", 1000), (1e9, 1e9))
    (nas / "locked.img.lock").touch()
    absent = tmp_path / "not mounted"
    here = serve(building, "--mirror", str(absent), "--mirror", str(nas.parent))
    here.ready(WINDOWS)
    assert same(building / WINDOWS, nas / WINDOWS)
    assert "hashing" not in here.log
    assert here.state("notes.txt") == "unknown", "the folder's layout knows no such image"
    assert here.state("locked.img") == "mirroring" and not (building / "locked.img").exists()
    assert f"There is no folder of images at {absent}" in here.log

    nas.rename(nas.with_name("unmounted"))
    until(lambda: "It was of the layout legacy: is it mounted?" in here.log)
    assert here.state(WINDOWS) == "ready"


def test_a_sum_that_does_not_fit_is_told(serve: Serve, building: Path, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    os.utime(image(nas / "windows.img", MIB), (1e9, 1e9))
    (nas / "windows.img.full.sum").write_text("0" * 32 + "\n")
    here = serve(building, "--mirror", str(nas))
    until(lambda: here.state("windows.img") == "refused")
    assert "its MD5 is not the one in windows.img.full.sum" in here.entry("windows.img")["why"]
    assert [path for path in building.rglob("*win*")] == []


def test_a_mirror_that_cannot_be_is_refused_at_once(
    command: Callable[..., tuple[int, str, str]], building: Path
) -> None:
    code, _, said = command("serve", building, "--mirror", "campus")
    assert code == 1 and "'campus' cannot be mirrored" in said
    code, _, said = command("serve", building, "--mirror-image", "windows*")
    assert code == 1 and "--mirror-image needs --mirror" in said
