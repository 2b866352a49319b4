"""The owner of a cache and its images, through the commands: real caches, real servers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from machines import Seat, Server, image, ogtorrent, published, until

from ogtorrent.cache import events
from ogtorrent.swarm import metainfo

pytestmark = pytest.mark.room

MIB = 2**20
SIZE = 3 * MIB + 5
Serve, Seats = Callable[..., Server], Callable[..., Seat]
Command = Callable[..., tuple[int, str, str]]


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listed(pc: Seat) -> dict[str, dict[str, Any]]:
    ran = ogtorrent("cache", "list", "--json", "--cache", pc.cache)
    assert ran.returncode == 0, ran.stderr
    return {one["image"]: one for one in json.loads(ran.stdout)["images"]}


def ran(pc: Seat, *arguments: str) -> str:
    """What a command of the cache says that goes well."""
    done = ogtorrent("cache", *arguments, "--cache", pc.cache)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(pc: Seat, code: int, *arguments: str) -> str:
    done = ogtorrent("cache", *arguments, "--cache", pc.cache)
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Images that no test of this module changes."""
    home = tmp_path_factory.mktemp("server")
    for number, name in enumerate(("windows.img", "aula1/windows.img", "debian.img")):
        published(home / "images" / name, home / "images", SIZE, seed=number)
    server = Server(home, home / "images")
    yield server
    assert server.end() == 0


def test_a_rebuilt_image_is_rolled_back_and_brought_back_without_a_download(
    served: Server, seat: Seats
) -> None:
    pc, there = seat(), image(served.root / "windows.img", SIZE, seed=1)
    old = served.ready("windows.img")
    pc.update(served.address, "windows.img").done  # noqa: B018 - it asserts
    here = pc.cache / "images" / "windows.img"
    before = sha(here)
    image(there, SIZE, seed=2)
    new = served.ready("windows.img", but=old)
    assert pc.update(served.address, "windows.img").done.fetched >= SIZE
    assert listed(pc)["windows.img"]["previous"] == old.info_hash.hex()

    assert old.info_hash.hex()[:8] in ran(pc, "rollback", "windows.img")
    assert sha(here) == before
    facts = listed(pc)["windows.img"]
    assert (facts["version"], facts["previous"]) == (old.info_hash.hex(), new.info_hash.hex())
    assert facts["seeding"]  # the seeder that runs was told
    assert metainfo.read(Path(f"{here}.torrent")) == old
    assert pc.update(served.address, "windows.img").done.fetched == 0
    assert sha(here) == sha(there)
    ran(pc, "rollback", "windows.img")
    assert sha(here) == before


def test_an_image_without_a_previous_version_is_not_rolled_back(server: Server, seat: Seats) -> None:
    pc = seat()
    pc.update(server.address, "windows.img").done  # noqa: B018
    assert "previous version of 'windows.img'" in refused(pc, 2, "rollback", "windows.img")
    assert listed(pc)["windows.img"]["seeding"]


def test_verify_finds_a_flipped_bit_and_fetches_that_piece_alone(server: Server, seat: Seats) -> None:
    pc = seat()
    for name in ("windows.img", "debian.img"):
        pc.update(server.address, name).done  # noqa: B018
    here = pc.cache / "images" / "windows.img"
    flip(here)
    pc.stop()
    said = ran(pc, "verify", "--address", pc.address)
    piece = metainfo.piece_length(SIZE)
    assert f"windows.img: mended, {piece // 1024} KiB fetched" in said
    assert "debian.img: whole" in said
    assert sha(here) == sha(server.root / "windows.img")
    assert "nothing to fetch" in ran(pc, "verify", "windows.img", "--address", pc.address)


@pytest.mark.room
def test_what_nobody_can_mend_is_told_and_is_not_taken_for_whole(
    serve: Serve, seat: Seats, tmp_path: Path
) -> None:
    published(tmp_path / "images" / "windows.img", tmp_path / "images", SIZE)
    server, pc = serve(tmp_path / "images"), seat()
    pc.update(server.address, "windows.img").done  # noqa: B018
    pc.stop()
    assert server.end() == 0
    flip(pc.cache / "images" / "windows.img")
    assert "do not verify" in refused(pc, 33, "verify", "windows.img", "--address", pc.address)
    facts = listed(pc)["windows.img"]
    assert facts["stands"] and facts["version"] is None
    assert (pc.cache / "images" / "windows.img.torrent").exists()  # so that it can be tried again


def test_verify_needs_a_metainfo(seat: Seats) -> None:
    pc = seat()
    image(pc.cache / "images" / "windows.img", SIZE)
    assert "metainfo of 'windows.img'" in refused(pc, 2, "verify", "windows.img")
    assert ran(pc, "verify") == ""


def flip(path: Path) -> None:
    """One bit, and neither size nor time tell."""
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(MIB)
        byte = file.read(1)[0]
        file.seek(MIB)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_what_is_removed_is_let_go_and_what_is_pinned_is_not_removed(server: Server, seat: Seats) -> None:
    windows, pc = server.ready("windows.img"), seat()
    for name in ("windows.img", "debian.img"):
        pc.update(server.address, name).done  # noqa: B018
    until(lambda: server.peers(windows).get(pc.address) == "seeding")
    ran(pc, "pin", "windows.img")
    assert "pinned" in refused(pc, 4, "remove", "debian.img", "windows.img")
    assert {name: facts["pinned"] for name, facts in listed(pc).items()} == {
        "windows.img": True,
        "debian.img": False,
    }
    ran(pc, "unpin", "windows.img")
    ran(pc, "pin", "debian.img")
    ran(pc, "remove", "windows.img")
    until(lambda: pc.address not in server.peers(windows))  # from a seeder that seeds on
    ran(pc, "remove", "debian.img", "--force")
    assert listed(pc) == {} and list((pc.cache / "images").iterdir()) == []
    assert "cache list" in refused(pc, 2, "remove", "windows.img")
    pc.update(server.address, "debian.img").done  # noqa: B018
    assert not listed(pc)["debian.img"]["pinned"]  # it went with its records


def test_a_name_that_stands_in_two_trees_is_to_be_given_as_a_path(command: Command, tmp_path: Path) -> None:
    places = [tmp_path / top / "aula1" / "windows.img" for top in ("images", "opt/opengnsys/images")]
    for place in places:
        image(place, 1000)
    code, _, said = command("cache", "pin", "aula1/windows.img", "--cache", tmp_path)
    assert code == 1 and all(str(place) in said for place in places)
    assert command("cache", "pin", places[1], "--cache", tmp_path)[0] == 0
    _, told, _ = command("cache", "list", "--json", "--cache", tmp_path)
    assert {one["path"]: one["pinned"] for one in json.loads(told)["images"]} == {
        str(places[0]): False,
        str(places[1]): True,
    }
    assert command("cache", "pin", "/etc/passwd", "--cache", tmp_path)[0] == 2
    assert command("cache", "pin", "../windows.img", "--cache", tmp_path)[0] == 1


def test_the_list_is_a_table_for_people(server: Server, seat: Seats) -> None:
    pc = seat()
    assert ran(pc, "list").startswith("no images")
    pc.update(server.address, "windows.img", subdir="aula1").done  # noqa: B018
    image(pc.cache / "images" / "copied.img", 1000)
    ran(pc, "pin", "copied.img")
    lines = ran(pc, "list").splitlines()
    version = server.ready("aula1/windows.img").info_hash.hex()[:8]
    assert lines[0].startswith("IMAGE") and len(lines) == 4 and lines[-1].endswith("are free")
    assert version in lines[1] and "aula1/windows.img  bare" in lines[1] and "seeding" in lines[1]
    assert "pinned, not verified" in lines[2]


# Where there is no room


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A cache of 12 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", place], check=True)
    yield place
    ogtorrent("cache", "stop", "--cache", place)  # it would stay, and could be found no more
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.room
@pytest.mark.root
def test_what_was_not_used_for_longest_goes_but_never_what_is_pinned(
    serve: Serve, seat: Seats, tmp_path: Path, small: Path
) -> None:
    names = ("a.img", "b.img", "c.img")
    for number, name in enumerate((*names, "new.img")):
        published(tmp_path / "images" / name, tmp_path / "images", SIZE, seed=number)
    server, pc = serve(tmp_path / "images"), seat(small)
    for name in (*names, "b.img"):
        pc.update(server.address, name, "--session", "peer:600").done  # noqa: B018
    ran(pc, "pin", "a.img")
    full = pc.update(server.address, "new.img")
    assert full.code == 16 and set(listed(pc)) == set(names)

    wanted = ["update-cache", server.address, "/", "new.img", "--cache", pc.cache, "--when-full", "evict"]
    shown = ogtorrent(*wanted, "--dry-run")
    assert shown.returncode == 0 and shown.stdout.splitlines()[1:] == ["goes: c.img"]
    assert ogtorrent(*wanted, "--dry-run", "--when-full", "fail").returncode == 16
    assert set(listed(pc)) == set(names)

    update = pc.update(server.address, "new.img", "--when-full", "evict")
    assert update.done.size == SIZE
    assert [event.images for event in update.events if isinstance(event, events.MakingRoom)] == [["c.img"]]
    assert set(listed(pc)) == {"a.img", "b.img", "new.img"}
    assert sorted(path.name for path in (small / "images").glob("c.img*")) == []


@pytest.mark.room
@pytest.mark.root
def test_a_previous_version_goes_without_a_question(served: Server, seat: Seats, small: Path) -> None:
    pc, there = seat(small), image(served.root / "a.img", SIZE, seed=1)
    old = served.ready("a.img")
    pc.update(served.address, "a.img").done  # noqa: B018
    image(there, SIZE, seed=2)
    served.ready("a.img", but=old)
    pc.update(served.address, "a.img").done  # noqa: B018
    for number, name in enumerate(("b.img", "c.img")):
        image(served.root / name, SIZE, seed=3 + number)
        served.ready(name)
        pc.update(served.address, name).done  # noqa: B018
    assert {name: facts["previous"] for name, facts in listed(pc).items()} == dict.fromkeys(
        ("a.img", "b.img", "c.img")
    )


@pytest.mark.room
@pytest.mark.root
def test_what_another_pc_takes_right_now_goes_only_where_that_was_asked(
    serve: Serve, seat: Seats, tmp_path: Path, small: Path
) -> None:
    there = published(tmp_path / "images" / "a.img", tmp_path / "images", 7 * MIB)
    published(tmp_path / "images" / "new.img", tmp_path / "images", 4 * MIB)
    server, pc, other = serve(tmp_path / "images", line=MIB // 2), seat(small), seat()
    server.ready("a.img")
    (small / "images").mkdir()
    for path in (there, Path(f"{there}.torrent")):
        shutil.copy2(path, small / "images")
    with pc.seeding(line=MIB // 4):
        taking = other.start(server.address, "a.img")
        until(lambda: listed(pc)["a.img"]["taking"] == 1)
        assert pc.update(server.address, "new.img", "--when-full", "evict").code == 16
        assert listed(pc)["a.img"]["version"] is not None
        pc.update(server.address, "new.img", "--when-full", "evict", "--evict-seeding").done  # noqa: B018
        assert set(listed(pc)) == {"new.img"}
        assert taking.end().done.size == 7 * MIB  # from the server, then


@pytest.mark.room
@pytest.mark.root
def test_of_two_that_come_at_once_the_second_does_not_count_on_the_room_of_the_first(
    serve: Serve, seat: Seats, tmp_path: Path, small: Path
) -> None:
    for number, name in enumerate(("a.img", "b.img")):
        published(tmp_path / "images" / name, tmp_path / "images", 6 * MIB, seed=number)
    server, pc = serve(tmp_path / "images", line=MIB), seat(small)
    first = pc.start(server.address, "a.img")
    first.until_bytes_come()
    second = pc.update(server.address, "b.img")
    assert second.code == 16 and not any(isinstance(event, events.Progress) for event in second.events)
    assert first.end().done.size == 6 * MIB


@pytest.mark.room
@pytest.mark.root
def test_in_place_takes_the_room_of_the_old_version_and_what_they_share(
    served: Server, seat: Seats, small: Path
) -> None:
    pc, there = seat(small), image(served.root / "windows.img", 8 * MIB, seed=1)
    old = served.ready("windows.img")
    pc.update(served.address, "windows.img").done  # noqa: B018
    content = there.read_bytes()
    aside = there.with_name(".new")
    aside.write_bytes(content[: 6 * MIB] + bytes(2 * MIB))
    aside.rename(there)
    served.ready("windows.img", but=old)
    here = pc.cache / "images" / "windows.img"
    assert pc.update(served.address, "windows.img").code == 16
    assert here.read_bytes() == content
    shown = ogtorrent(
        *("update-cache", served.address, "/", "windows.img", "--cache", pc.cache),
        *("--when-full", "in-place", "--dry-run"),
    )
    assert shown.returncode == 0 and "written over" in shown.stdout and here.read_bytes() == content
    update = pc.update(served.address, "windows.img", "--when-full", "in-place")
    assert 0 < update.done.fetched < 3 * MIB
    assert sha(here) == sha(there)
