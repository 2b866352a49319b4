"""A legacy tree becomes one of the current layout: nothing is lost wherever it is cut, whoever uses it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import Seat, Server, environment, image, published, until

from ogtorrent.layout import Layout, enclosing, recognise
from ogtorrent.swarm import metainfo

Command = Callable[..., tuple[int, str, str]]
Serve, Seats = Callable[..., Server], Callable[..., Seat]

SIZE = 2**20
SLOW = 2 * 2**20  # bytes a second of a server that is to be met in the middle of a download
# Dies in the instant of the nth call that touches a name below the tree; tells how many there were otherwise.
KILLED_AT = """
import os, signal, sys
from ogtorrent.cli import main
from ogtorrent.repository import migrate, folders
last, tree, cannot_exchange, count = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "True", 0
if cannot_exchange:
    migrate.exchanged = lambda one, other: False
CALLS = ("os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.chown")
def hear(event, arguments):
    global count
    if event in CALLS and tree in " ".join(map(str, arguments)) or event == "ctypes.dlsym":
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hear)
main(["repo", "migrate", tree])
"""


def legacy(tmp_path: Path) -> Path:
    """A tree with an image in a folder, a place that is mounted there, and what else may stand there."""
    root = tmp_path / "opt" / "opengnsys" / "images"
    published(root / "aula1" / "windows.img", root, SIZE)
    image(root / "linux.img", SIZE, 2)
    (root / "10.1.0.9").mkdir()
    (root / "10.1.0.9" / "theirs.img").write_bytes(b"theirs")
    (root / ".tracker.sqlite").write_bytes(b"state")
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(Path(directory, name).relative_to(root)): Path(directory, name).read_bytes()
        for directory, _, names in os.walk(root)
        for name in names
    }


def assert_migrated(root: Path, before: dict[str, bytes]) -> None:
    new = root.parent / "repo" / "images"
    assert contents(new) == contents(root) == before
    assert root.readlink() == Path("repo/images") and not new.is_symlink()
    assert sorted(path.name for path in new.parent.iterdir()) == ["clients", "groups", "images"]
    found = recognise(root.parent)
    assert (found.path, found.mirror.layout) == (new, Layout.CURRENT)
    assert sorted(path.name for path in root.parent.iterdir()) == ["images", "repo"]


@pytest.mark.room
@pytest.mark.parametrize("cannot_exchange", [False, True])
def test_a_move_that_is_killed_anywhere_goes_on_and_nothing_is_missing(
    tmp_path: Path, command: Command, cannot_exchange: bool
) -> None:
    killed, number = True, 0
    while killed:
        number += 1
        home = tmp_path / str(number)
        root = legacy(home)
        (root.parent / "repo" / "images").mkdir(parents=True)  # as `repo init` leaves it
        before = contents(root)
        given = [str(number), str(root.parent), str(cannot_exchange)]
        ran = subprocess.run(
            [sys.executable, "-c", KILLED_AT, *given], env=environment(), capture_output=True
        )
        killed = ran.returncode == -signal.SIGKILL
        assert killed or ran.returncode == 0, ran.stderr
        standing = [place for place in (root, root.parent / "repo" / "images") if place.is_dir()]
        assert before in map(contents, standing)
        if not cannot_exchange:
            assert contents(root) == before  # at its old path it never was missing
        assert command("repo", "migrate", root)[0] == 0
        assert_migrated(root, before)
    assert number > 9


def test_it_is_done_once_and_a_rehearsal_does_nothing(tmp_path: Path, command: Command) -> None:
    root = legacy(tmp_path)
    before = contents(tmp_path)
    code, said, _ = command("repo", "migrate", root, "--dry-run")
    assert code == 0 and f"{root}: moves to {root.parent}/repo/images" in said
    assert said.endswith("Nothing of this was done yet.\n")
    assert contents(tmp_path) == before and not (root.parent / "repo").exists()
    before = contents(root)
    assert command("repo", "migrate", root.parent)[0] == 0
    assert_migrated(root, before)
    for named in (root, root.parent, root.parent / "repo", root.parent / "repo" / "images"):
        code, said, _ = command("repo", "migrate", named)
        assert (code, said) == (0, f"{root.parent}/repo: a tree of the current layout, nothing to do\n")
    assert enclosing(root / "aula1" / "windows.img").path == root


def test_two_trees_are_not_made_one(tmp_path: Path, command: Command) -> None:
    root = legacy(tmp_path)
    image(root.parent / "repo" / "images" / "linux.img", SIZE, 3)
    before = contents(tmp_path)
    code, _, said = command("repo", "migrate", root)
    assert code == 1 and "both" in said
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("place", "code"), [("srv/images", 1), ("x/opengnsys/images", 2)])
def test_what_is_no_legacy_tree_is_refused(tmp_path: Path, command: Command, place: str, code: int) -> None:
    if code == 1:
        image(tmp_path / place / "w.img", SIZE)
    before = sorted(tmp_path.rglob("*"))
    assert command("repo", "migrate", tmp_path / place)[0] == code
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.root
def test_a_disk_that_is_mounted_there_stays_and_the_new_place_leads_to_it(tmp_path: Path) -> None:
    """And so does what is mounted below a folder that moves."""
    for name in ("disk", "bound", "below"):
        (tmp_path / name / "opt/opengnsys/images/10.1.0.9").mkdir(parents=True)
    script = """
    mount -t tmpfs none disk/opt/opengnsys/images || exit 9
    echo disk > disk/opt/opengnsys/images/windows.img
    mkdir -p bound/disk && mount --bind bound/disk bound/opt/opengnsys/images || exit 9
    echo bound > bound/opt/opengnsys/images/windows.img
    mount -t tmpfs none below/opt/opengnsys/images/10.1.0.9 || exit 9
    echo nas > below/opt/opengnsys/images/10.1.0.9/nas.img
    "$0" -m ogtorrent repo migrate --dry-run disk/opt/opengnsys/images || exit 8
    for tree in disk bound below; do "$0" -m ogtorrent repo migrate $tree/opt/opengnsys/images || exit 8; done
    "$0" -m ogtorrent repo migrate disk/opt/opengnsys/repo || exit 8
    cat disk/opt/opengnsys/repo/images/windows.img disk/opt/opengnsys/images/windows.img
    cat bound/opt/opengnsys/repo/images/windows.img bound/opt/opengnsys/images/windows.img
    cat below/opt/opengnsys/repo/images/10.1.0.9/nas.img below/opt/opengnsys/images/10.1.0.9/nas.img
    """
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[-6:] == ["disk", "disk", "bound", "bound", "nas", "nas"]
    for name in ("disk", "bound"):
        assert (tmp_path / name / "opt/opengnsys/repo/images").readlink() == Path("../images")
    assert "moves to" not in ran.stdout.partition("below")[0]
    assert ran.stdout.count("disk/opt/opengnsys/images, a disk of its own\n") == 2  # and as it was rehearsed
    assert recognise(tmp_path / "disk/opt/opengnsys").mirror.layout is Layout.CURRENT


@pytest.mark.room
def test_a_server_and_a_download_go_on_through_the_move(
    tmp_path: Path, serve: Serve, seat: Seats, command: Command
) -> None:
    root = tmp_path / "opt" / "opengnsys" / "images"
    published(root / "windows.img", root, 2 * SLOW)
    server, pc, late = serve(root, line=SLOW), seat(), seat()
    there = server.ready("windows.img")
    filling = pc.start(server.address, "windows.img")
    filling.until_bytes_come()
    assert command("repo", "migrate", root)[0] == 0
    assert filling.end().done.size == 2 * SLOW
    # One that comes after the move, and what is written under either path.
    assert late.update(server.address, "windows.img").done.from_repository >= 0
    image(root / "old.img", SIZE, 2)
    image(root.parent / "repo" / "images" / "new.img", SIZE, 3)
    for name in ("old.img", "new.img"):
        server.ready(name)
    assert server.state("windows.img") == "ready" and server.seeds(there) >= 1
    assert "removed" not in server.log and "no longer seeded" not in server.log
    assert "legacy layout" in server.said and server.end() == 0
    # The next server calls the tree by its new name, and hashes nothing again.
    after = serve(root.parent)
    assert "current layout" in after.said
    assert metainfo.read(root / "windows.img.torrent").info_hash == there.info_hash
    until(lambda: after.state("windows.img") == "ready")
    assert "hashing" not in after.log
