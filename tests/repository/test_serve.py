"""`ogtorrent serve` as its users meet it: a real process over a folder that changes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import AS_A_USER, DEADLINE, Server, environment, image, ogtorrent, published, until

from ogtorrent.layout import ImagePath, recognise
from ogtorrent.repository.publish import publish
from ogtorrent.swarm import metainfo

Command = Callable[..., tuple[int, str, str]]
SIDECARS = (".torrent", ".sum", ".full.sum")


def standing(place: Path) -> list[bool]:
    return [Path(f"{place}{ending}").exists() for ending in SIDECARS]


def test_an_image_that_appears_is_published_and_seeded_and_its_removal_takes_it_back(served: Server) -> None:
    place = image(served.root / "aula1" / "windows.img", 100_000)  # in a folder that is new, too
    found = served.ready("aula1/windows.img")
    assert standing(place) == [True, True, True]
    assert served.refusal(found) == ""
    assert found.trackers == (f"http://{served.address}/announce",)
    content = hashlib.md5(place.read_bytes()).hexdigest()
    assert Path(f"{place}.full.sum").read_text() == f"{content}\n"

    place.unlink()
    until(lambda: served.state("aula1/windows.img") == "unknown")
    until(lambda: standing(place) == [False, False, False])
    until(lambda: served.refusal(found))
    assert served.get("/torrents/aula1/windows.img.torrent")[0] == 404


@pytest.mark.room
def test_an_image_rebuilt_in_the_same_size_gets_a_new_info_hash_and_the_old_one_is_refused(
    served: Server,
) -> None:
    place = image(served.root / "windows.img", 100_000, seed=1)
    old = served.ready("windows.img")
    with place.open("r+b") as file:  # in place, as partclone over an older image
        file.write(b"rebuilt")
    new = served.ready("windows.img", but=old)
    assert new.size == old.size and new.info_hash != old.info_hash
    until(lambda: served.refusal(old))
    assert served.refusal(new) == ""
    assert new.stamp is not None and new.stamp.full_sum == hashlib.md5(place.read_bytes()).hexdigest()


@pytest.mark.room
def test_an_image_waits_for_its_lock_and_for_its_writer(served: Server) -> None:
    lock, locked = served.root / "locked.img.lock", served.root / "locked.img"
    lock.touch()
    image(locked, 100_000)
    with (served.root / "written.img").open("wb") as written:
        written.write(b"x" * 100_000)
        written.flush()
        until(lambda: served.state("locked.img") == "locked")
        until(lambda: served.state("written.img") == "waiting")
        # Another image, settled later than both, is published while these two wait.
        image(served.root / "later.img", 1000)
        served.ready("later.img")
        assert (served.state("locked.img"), served.state("written.img")) == ("locked", "waiting")
        assert standing(locked) == standing(served.root / "written.img") == [False, False, False]
        written.write(b"y")
    assert served.ready("written.img").size == 100_001
    lock.unlink()
    served.ready("locked.img")


@pytest.mark.room
def test_a_lock_beside_a_published_image_is_told_and_its_end_too(served: Server) -> None:
    place = image(served.root / "windows.img", 1000)
    found = served.ready("windows.img")
    Path(f"{place}.lock").touch()
    until(lambda: served.state("windows.img") == "locked")
    Path(f"{place}.lock").unlink()
    assert served.ready("windows.img") == found


@pytest.mark.room
def test_a_directory_is_an_image_too_and_a_file_that_joins_it_makes_it_another(served: Server) -> None:
    clone = served.root / "clone.img"
    image(clone / "sda1", 50_000, seed=1)
    image(clone / "parts" / "sda2", 50_000, seed=2)
    old = served.ready("clone.img")
    assert old.is_directory and old.size == 100_000
    image(clone / "sda3", 10, seed=3)
    assert served.ready("clone.img", but=old).size == 100_010


@pytest.mark.room
def test_what_cannot_be_published_is_refused_in_words_and_the_rest_goes_on(served: Server) -> None:
    (served.root / "empty.img").touch()
    (served.root / "clone.img").mkdir()
    (served.root / "clone.img" / "passwd").symlink_to("/etc/passwd")
    until(lambda: served.state("empty.img") == "refused" and served.state("clone.img") == "refused")
    assert "is empty" in served.entry("empty.img")["why"]
    assert "symbolic link" in served.entry("clone.img")["why"]
    image(served.root / "good.img", 1000)
    served.ready("good.img")
    image(served.root / "empty.img", 1000)  # and what was mended is published
    served.ready("empty.img")


@pytest.mark.room
def test_strange_torrents_and_names_in_the_tree_harm_nobody(served: Server) -> None:
    (served.root / "hostile.img.torrent").write_bytes(b"l" * 2**20)
    (served.root / "x.sum.torrent").write_bytes(b"d4:infodee")  # a sidecar's torrent: of no image
    (served.root / "x.img.torrent.torrent").write_bytes(b"")
    (served.root / "dir.torrent").mkdir()
    Path(os.fsdecode(bytes(served.root) + b"/\xff.img")).write_bytes(b"x" * 1000)
    (served.root / "bell\a.img").write_bytes(b"x" * 1000)
    (served.root / "nowhere.img").symlink_to("/nonexistent")
    (served.root / "loop").symlink_to(served.root)
    image(served.root / "hostile.img", 1000)
    image(served.root / "good.img", 1000)
    served.ready("good.img")
    served.ready("hostile.img")
    (served.root / "x.sum.torrent").unlink()
    (served.root / "good.img").unlink()
    until(lambda: served.state("good.img") == "unknown")


@pytest.mark.room
def test_a_restart_over_unchanged_images_hashes_nothing_and_announces_everything(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    root = tmp_path / "images"
    names = [f"aula{number % 3}/image{number}.img" for number in range(40)]
    for number, name in enumerate(names):
        published(root / name, root, 20_000, seed=number)
    image(root / "clone.img" / "sda1", 20_000)
    publish(recognise(root), ImagePath.parse("clone.img"), (), lambda done: None)
    before = {name: metainfo.read(root / f"{name}.torrent") for name in (*names, "clone.img")}

    server = serve(root)
    assert f"seeding {len(before)} images" in server.said
    after = {name: server.ready(name) for name in before}
    assert "hashing" not in server.log
    for name, found in after.items():
        assert found.info_hash == before[name].info_hash
        # The server's address is another one, and the metainfo says so.
        assert found.trackers == (f"http://{server.address}/announce",)
        assert metainfo.read(root / f"{name}.torrent") == found


@pytest.mark.room
def test_a_restart_notices_what_changed_and_vanished_meanwhile(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    root = tmp_path / "images"
    for name in ("changed.img", "gone.img", "same.img"):
        image(root / name, 20_000)
    first = serve(root)
    before = {name: first.ready(name) for name in ("changed.img", "gone.img", "same.img")}
    assert first.end() == 0
    image(root / "changed.img", 20_000, seed=2)
    (root / "gone.img").unlink()
    second = serve(root)
    assert standing(root / "gone.img") == [False, False, False]
    second.ready("changed.img", but=before["changed.img"])
    assert second.ready("same.img").info_hash == before["same.img"].info_hash
    assert second.log.count(": hashing") == 1


@pytest.mark.room
def test_sigterm_ends_it_also_in_the_middle_of_a_long_read(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    root = tmp_path / "images"
    published(root / "small.img", root, 1000)
    server = serve(root)
    small = server.ready("small.img")
    with (root / "huge.img").open("wb") as huge:
        huge.truncate(500 * 2**30)  # minutes to read, were it read to its end
    until(lambda: server.entry("huge.img").get("hashed", 0) > 0)
    assert server.state("small.img") == "ready"  # the event loop goes on meanwhile
    assert server.refusal(small) == ""
    assert server.end() == 0
    assert standing(root / "huge.img") == [False, False, False]
    assert standing(root / "small.img") == [True, True, True]


@pytest.mark.room
def test_sigterm_announces_that_the_seed_has_stopped(serve: Callable[..., Server], tmp_path: Path) -> None:
    published(tmp_path / "images" / "windows.img", tmp_path / "images", 1000)
    server = serve(tmp_path / "images")
    server.ready("windows.img")
    assert server.end() == 0
    assert " left, 0 done and 0 filling" in server.log


def test_a_port_in_use_is_told_in_a_sentence(served: Server, tmp_path: Path) -> None:
    ran = ogtorrent("serve", tmp_path, "--listen", served.address, "--peer-port", "0")
    assert ran.returncode == 60
    assert served.address in ran.stderr and "--listen" in ran.stderr and "Traceback" not in ran.stderr


@pytest.mark.room
def test_a_peer_port_in_use_is_told_too_and_no_other_is_taken_for_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = ogtorrent("serve", tmp_path, "--listen", "127.0.0.1:0", "--peer-port", port)
    assert ran.returncode == 60
    assert port in ran.stderr and "in use" in ran.stderr and "Traceback" not in ran.stderr


def test_an_address_of_another_machine_is_told_in_a_sentence(tmp_path: Path) -> None:
    ran = ogtorrent("serve", tmp_path, "--listen", "192.0.2.1:0")
    assert ran.returncode == 60
    assert "192.0.2.1" in ran.stderr and "Traceback" not in ran.stderr


@pytest.mark.parametrize("root", ["missing", "file"])
def test_what_is_no_folder_of_images_is_told_in_a_sentence(
    tmp_path: Path, command: Command, root: str
) -> None:
    (tmp_path / "file").touch()
    code, _, said = command("serve", tmp_path / root, "--listen", "127.0.0.1:0")
    assert code == 2
    assert str(tmp_path / root) in said and "Traceback" not in said


@pytest.mark.parametrize("listen", ["nonsense:1", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1"])
def test_an_address_to_listen_on_that_is_none_is_a_matter_of_form(
    tmp_path: Path, command: Command, listen: str
) -> None:
    code, _, said = command("serve", tmp_path, "--listen", listen)
    assert code == 1
    assert "ADDRESS:PORT" in said or "65535" in said


@pytest.mark.room
def test_a_layout_that_is_given_overrides_the_one_that_is_recognised(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    root = tmp_path / "srv" / "data"
    published(root / "aula1" / "windows.img", root, 1000)  # as a bare folder; another name, another hash
    server = serve(root, "--layout", "legacy")
    assert server.said.splitlines()[0] == f"{root}: legacy layout"
    found = server.ready("aula1/windows.img")
    assert (server.entry("aula1/windows.img")["layout"], found.name) == ("legacy", "images")


@pytest.mark.room
def test_an_unknown_image_is_answered_with_near_names(served: Server) -> None:
    names = ("aula1/windows10.img", "aula2/linux.img", "aula2/other.img")
    for name in names:
        image(served.root / name, 1000)
    for name in names:
        served.ready(name)
    assert served.get("/catalogue/aula1/windows11.img")[0] == 404
    assert served.entry("aula1/windows11.img")["near"][0] == "aula1/windows10.img"
    assert served.entry("unit/of/another/organisation/LINUX.img")["near"] == ["aula2/linux.img"]
    assert served.entry("nothing-like-it")["near"] == []
    assert [entry["image"] for entry in catalogue_of(served)] == [
        "aula1/windows10.img",
        "aula2/linux.img",
        "aula2/other.img",
    ]


def catalogue_of(server: Server) -> list[dict[str, str]]:
    images: list[dict[str, str]] = json.loads(server.get("/catalogue")[1])["images"]
    return images


def test_no_path_of_a_request_leads_out_of_the_catalogue(served: Server) -> None:
    host, _, port = served.address.partition(":")
    for path in (
        "/catalogue/../../etc/passwd",
        "/catalogue/%2e%2e/x",
        "/torrents/x.img",
        "/torrents/..%2f",
        "/catalogue/%ff",
        "/torrents/%00.torrent",
        "/catalogue/" + "x" * 3000,
    ):
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            status = connection.makefile("rb").readline()
        assert status.split()[1] in (b"404", b"400"), path


@pytest.mark.room
@pytest.mark.root
def test_a_folder_that_the_server_may_not_read_does_not_keep_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "images"
    image(root / "good.img", 1000)
    image(root / "private" / "secret.img", 1000)
    os.chown(root / "private", 65534, 65534)
    (root / "private").chmod(0o700)
    home = tmp_path / "server"
    home.mkdir()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *AS_A_USER,
                sys.executable,
                "-m",
                "ogtorrent",
                "serve",
                root,
                "--listen",
                "127.0.0.1:0",
                "--peer-port",
                "0",
            ],
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or (root / "good.img.torrent").exists())
        assert process.poll() is None, (home / "log").read_text()
    finally:
        process.terminate()
        process.wait(DEADLINE)


@pytest.mark.room
def test_the_root_taken_away_empties_the_catalogue_and_the_server_goes_on(served: Server) -> None:
    image(served.root / "windows.img", 1000)
    served.ready("windows.img")
    shutil.rmtree(served.root)
    until(lambda: served.state("windows.img") == "unknown")
    assert served.process.poll() is None


@pytest.mark.room
def test_images_come_and_go_at_random_and_the_catalogue_stays_true(served: Server) -> None:
    rng = random.Random(7)
    names = [f"image{number}.img" for number in range(5)]
    deadline = time.monotonic() + 2
    step = 0
    while time.monotonic() < deadline:
        name, step = rng.choice(names), step + 1
        match rng.randrange(4):
            case 0:
                (served.root / name).unlink(missing_ok=True)
            case 1:
                image(served.root / name, 3000, seed=step)
            case 2:
                with (served.root / name).open("ab") as file:
                    file.write(b"more")
            case 3:
                (served.root / name).rename(served.root / rng.choice(names)) if (
                    served.root / name
                ).exists() else None
        time.sleep(rng.random() * 0.1)
    for name in names:
        place = served.root / name
        if place.exists():
            until(lambda name=name, place=place: served.state(name) == "ready" and sums_agree(place))
        else:
            until(lambda name=name, place=place: served.state(name) == "unknown" and not any(standing(place)))


def sums_agree(place: Path) -> bool:
    found = metainfo.read(Path(f"{place}.torrent"))
    assert found.stamp is not None
    return found.stamp.full_sum == hashlib.md5(place.read_bytes()).hexdigest()
