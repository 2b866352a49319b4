"""A repository that has got another layout: what its seats have they move, and fetch nothing again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from machines import Seat, Server, environment, published, until

from ogtorrent.cache import adoption, control
from ogtorrent.cache.inventory import cached, standing_image
from ogtorrent.cache.plan import Adopt, Room, UpToDate, plan
from ogtorrent.layout import Layout, Mirror, cache_root
from ogtorrent.swarm import metainfo

Serve, Seats = Callable[..., Server], Callable[..., Seat]
Command = Callable[..., tuple[int, str, str]]

SIZE = 3 * 2**20 + 5
SLOW = 2 * 2**20  # bytes a second
OLD, NEW = "opt/opengnsys/images", "opt/opengnsys/repo/images"
IMAGE = "aula1/windows.img"


@pytest.fixture
def served_legacy(tmp_path: Path, serve: Serve) -> Server:
    published(tmp_path / OLD / IMAGE, tmp_path / OLD, SIZE)
    return serve(tmp_path / OLD)


def seeded(server: Server, pc: Seat) -> bool:
    return server.peers(server.ready(IMAGE)).get(pc.address) == "seeding"


@pytest.mark.room
def test_after_a_move_of_the_repository_a_seat_renames_what_it_has(
    tmp_path: Path, serve: Serve, seat: Seats, command: Command
) -> None:
    """While its seeder seeds it, with its pin; and back again where the old path is served once more."""
    published(tmp_path / OLD / IMAGE, tmp_path / OLD, SIZE)
    server, pc = serve(tmp_path / OLD), seat()
    address = server.address
    pc.update(address, "windows.img", subdir="aula1").done  # noqa: B018 - it asserts
    before = (pc.cache / OLD / IMAGE).stat()
    assert command("cache", "pin", IMAGE, "--cache", pc.cache)[0] == 0
    assert command("repo", "migrate", tmp_path / OLD)[0] == 0
    for place, gone, layout in ((NEW, OLD, "current"), (OLD, NEW, "legacy")):
        assert server.end() == 0
        server = serve(tmp_path / place, "--listen", address)
        assert f"{layout} layout" in server.said
        server.ready(IMAGE)
        assert pc.update(address, "windows.img", "--dry-run", subdir="aula1").code == 0
        done = pc.update(address, "windows.img", subdir="aula1").done
        assert (done.path, done.fetched, done.shared) == (str(pc.cache / place / IMAGE), 0, 0)
        assert (pc.cache / place / IMAGE).stat().st_ino == before.st_ino
        for ending in (".torrent", ".sum", ".full.sum"):
            assert (pc.cache / f"{place}/{IMAGE}{ending}").exists()
        assert not (pc.cache / gone / "aula1").exists()
        until(partial(seeded, server, pc))
        tending = control.look(pc.cache)
        assert tending is not None and tending.seeding.keys() == {f"{place}/{IMAGE}"}
        _, told, _ = command("cache", "list", "--json", "--cache", pc.cache)
        (listed,) = json.loads(told)["images"]
        assert (listed["layout"], listed["pinned"], listed["seeding"]) == (layout, True, True)


@pytest.mark.room
def test_a_cache_whose_own_tree_was_moved_is_one_tree_for_a_legacy_server(
    tmp_path: Path, served_legacy: Server, seat: Seats, command: Command
) -> None:
    pc = seat()
    pc.update(served_legacy.address, "windows.img", subdir="aula1").done  # noqa: B018 - it asserts
    assert command("repo", "migrate", pc.cache / OLD)[0] == 0
    done = pc.update(served_legacy.address, "windows.img", subdir="aula1").done
    assert (done.path, done.fetched, done.shared) == (str(pc.cache / NEW / IMAGE), 0, 0)
    until(partial(seeded, served_legacy, pc))
    _, told, _ = command("cache", "list", "--json", "--cache", pc.cache)
    assert [(listed["layout"], listed["seeding"]) for listed in json.loads(told)["images"]] == [
        ("current", True)
    ]


# Dies in the instant of the nth call that touches a name of the cache.
KILLED_AT = """
import os, signal, sys
from pathlib import Path
from ogtorrent.cache import adoption
from ogtorrent.layout import Layout, Mirror, cache_root
from ogtorrent.swarm import metainfo
last, cache, count = int(sys.argv[1]), Path(sys.argv[2]), 0
old, new = (cache_root(cache, Mirror(layout, "images")) for layout in (Layout.LEGACY, Layout.CURRENT))
wanted = metainfo.read(old.path / "aula1" / "windows.img.torrent")
def hear(event, arguments):
    global count
    if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir"):
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hear)
adoption.adopt(cache, old, new, wanted)
"""


@pytest.mark.room
def test_a_move_in_a_cache_that_is_killed_anywhere_leaves_it_whole_in_one_tree(tmp_path: Path) -> None:
    number, killed = 0, True
    while killed:
        number += 1
        cache = tmp_path / str(number)
        published(cache / OLD / IMAGE, cache / OLD, SIZE)
        wanted = metainfo.read(cache / OLD / f"{IMAGE}.torrent")
        old, new = (cache_root(cache, Mirror(layout, "images")) for layout in (Layout.LEGACY, Layout.CURRENT))
        given = [sys.executable, "-c", KILLED_AT, str(number), str(cache)]
        ran = subprocess.run(given, env=environment(), capture_output=True, text=True)
        killed = ran.returncode == -signal.SIGKILL
        assert killed or ran.returncode == 0, ran.stderr
        other = adoption.elsewhere(cache, new, wanted)
        match plan(wanted, cached(new, wanted.image), Room(0, 0), verify=False, elsewhere=other):
            case Adopt(root):
                assert root == old
                adoption.adopt(cache, old, new, wanted)
            case step:
                assert step == UpToDate()
        assert standing_image(new, wanted.image) == wanted
        assert not (cache / OLD / IMAGE).exists()
    assert number > 8


@pytest.mark.room
def test_a_download_that_had_begun_goes_on_in_the_new_tree(
    tmp_path: Path, serve: Serve, seat: Seats, command: Command
) -> None:
    published(tmp_path / OLD / IMAGE, tmp_path / OLD, 3 * SLOW)
    server, pc = serve(tmp_path / OLD, line=SLOW), seat()
    filling = pc.start(server.address, "windows.img", subdir="aula1")
    had = filling.until_bytes_come().done
    filling.process.terminate()
    filling.end()
    pc.stop()
    assert server.end() == 0 and command("repo", "migrate", tmp_path / OLD)[0] == 0
    done = pc.update(serve(tmp_path / NEW).address, "windows.img", subdir="aula1").done
    assert done.path == str(pc.cache / NEW / IMAGE)
    assert 0 < done.fetched <= 3 * SLOW - had // 2
    assert not (pc.cache / OLD / "aula1").exists()
