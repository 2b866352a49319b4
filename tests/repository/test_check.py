"""`ogtorrent repo init` and `check`: what a tree is, what is wrong with one, and what is mended of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import Server, environment, image, published

from ogtorrent.layout import ImagePath, Layout, Tree, recognise
from ogtorrent.repository.check import DAY, HOUR, examine
from ogtorrent.repository.publish import publish
from ogtorrent.repository.survey import look

Command = Callable[..., tuple[int, str, str]]

SIZE = 2**16
WITHOUT_CHOWN = ["setpriv", "--bounding-set", "-chown", "--inh-caps", "-all"]


def aged(path: Path, seconds: float = 2 * DAY) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def written(path: Path, content: str = "", age: float = 2 * DAY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return aged(path, age)


@pytest.fixture
def top(tmp_path: Path, command: Command) -> Path:
    """A tree of the current layout with an image, as `repo init` and `publish` make it."""
    top = tmp_path / "opt" / "opengnsys" / "repo"
    top.parent.mkdir(parents=True)
    assert command("repo", "init", top)[0] == 0
    old = aged(image(top / "images" / "aula1" / "windows.img", SIZE))
    published(old, top, SIZE)
    for beside in old.parent.iterdir():
        aged(beside) if beside != old else None
    return top


def faults(command: Command, root: Path, *options: str) -> tuple[int, dict[str, str]]:
    """The exit code, and each path below the root with its fault."""
    code, said, _ = command("repo", "check", root, "--json", *options)
    told = json.loads(said)["faults"]
    return code, {str(Path(one["path"]).relative_to(root)): one["fault"] for one in told}


@pytest.mark.parametrize(
    ("arguments", "made", "layout"),
    [
        ("opt/opengnsys/repo", "images groups clients", "current"),
        ("srv/repo", "images groups clients", "current"),
        ("--layout legacy opt/opengnsys/images", "", "legacy"),
        ("--layout eac var/opt/lab/hdimages", "", "eac"),
        ("--layout eac var/opt/lab", "hdimages", "eac"),
        ("--layout eac --package lab var/opt", "lab/hdimages", "eac"),
    ],
)
def test_a_tree_is_made_and_recognised_and_made_again(
    tmp_path: Path, command: Command, arguments: str, made: str, layout: str
) -> None:
    *options, where = arguments.split()
    code, said, _ = command("repo", "init", *options, tmp_path / where)
    assert (code, said.count(": made\n")) == (0, max(1, len(made.split())))
    for folder in made.split() or ["."]:
        assert (tmp_path / where / folder).is_dir()
    package = "lab" if "--package" in options else ""
    assert recognise(tmp_path / where / package).mirror.layout == layout
    code, said, _ = command("repo", "init", *options, tmp_path / where)
    assert (code, said.count(": stands already\n")) == (0, max(1, len(made.split())))


@pytest.mark.parametrize(
    ("holds", "arguments"),
    [
        ("opt/opengnsys/images/w.img", "opt/opengnsys/images"),
        ("srv/windows.img", "srv"),
        ("var/opt/lab/hdimages/w.img", "var/opt/lab"),
        ("var/opt/lab/hdimages/w.img", "--layout eac --package other var/opt/lab/hdimages"),
        ("srv/images/w.img", "--layout legacy srv/images"),
        ("srv/file", "srv/file"),
    ],
)
def test_no_tree_is_made_of_what_is_something_else(
    tmp_path: Path, command: Command, holds: str, arguments: str
) -> None:
    written(tmp_path / holds)
    before = sorted(tmp_path.rglob("*"))
    *options, where = arguments.split()
    code, _, said = command("repo", "init", *options, tmp_path / where)
    assert code == 1 and "Nothing was changed" in said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.root
def test_a_tree_belongs_to_whom_the_folder_above_belongs(tmp_path: Path, command: Command) -> None:
    (tmp_path / "srv").mkdir()
    os.chown(tmp_path / "srv", 1234, 2345)
    (tmp_path / "srv").chmod(0o777)
    assert command("repo", "init", tmp_path / "srv" / "repo")[0] == 0
    for folder in ("repo", "repo/images", "repo/groups", "repo/clients"):
        status = (tmp_path / "srv" / folder).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 2345, 0o775)


def test_a_tree_in_order_has_no_faults(command: Command, top: Path) -> None:
    assert faults(command, top) == (0, {})
    assert command("repo", "check", top) == (0, f"{top}/images: current layout, nothing is wrong\n", "")


def test_what_is_wrong_is_said_and_what_is_safe_is_mended(command: Command, top: Path) -> None:
    images = top / "images"
    digest = "0" * 32 + "\n"
    gone, stale = images / "gone.img", images / "stale.img"
    for path in (gone, stale):
        published(aged(image(path, SIZE)), top, SIZE)
    gone.unlink()
    aged(image(stale, SIZE + 1))
    for name in ("gone.img", "stale.img"):
        for ending in (".torrent", ".sum", ".full.sum"):
            aged(images / f"{name}{ending}")
    aged(image(images / "new.img", SIZE))
    written(images / "theirs.img.torrent", "d4:infodee")
    written(images / "notes.sum", "what I counted")
    written(images / "gone.img.mcast", "9000:full-duplex:239.194.17.36:70M:50:60")
    written(images / "aula1" / "windows.img.lock")
    written(images / "empty.img")
    written(images / ".windows.img.sum.77.tmp", digest)
    written(images / ".late.img.part", "bytes")
    (images / "aula1").chmod(0o757)
    (images / "new.img").chmod(0o600)
    (top / "clients").rmdir()
    mended = {
        "images/gone.img.torrent": "torrent without image",
        "images/gone.img.sum": "stray sidecar",
        "images/gone.img.full.sum": "stray sidecar",
        "images/gone.img.mcast": "stray sidecar",
        "images/stale.img.torrent": "torrent of another version",
        "images/.windows.img.sum.77.tmp": "left aside",
        "images/aula1": "world-writable",
        "clients": "missing folder",
    }
    kept = {
        "images/theirs.img.torrent": "torrent without image",
        "images/notes.sum": "stray sidecar",
        "images/aula1/windows.img.lock": "old lock",
        "images/empty.img": "unfit image",
        "images/.late.img.part": "unfinished download",
        "images/new.img": "image without torrent",
    }
    code, found = faults(command, top)
    assert code == 5
    _, said, _ = command("repo", "check", top)
    assert "new.img: not everybody who may read" in said and "new.img: not published" in said
    found.pop("images/new.img")
    kept_now = {path: fault for path, fault in kept.items() if path != "images/new.img"}
    assert found == {**mended, **kept_now}
    assert faults(command, top, "--fix")[0] == 5
    # What was withdrawn is an image that is not published.
    assert faults(command, top) == (5, {**kept, "images/stale.img": "image without torrent"})
    assert (images / "aula1").stat().st_mode & 0o777 == 0o755
    assert (images / "new.img").stat().st_mode & 0o777 == 0o644
    assert not (images / "stale.img.torrent").exists() and (images / "stale.img").exists()


def test_what_is_young_may_be_unfinished_and_is_left_alone(command: Command, top: Path) -> None:
    """As of a server that writes sidecars, an image that is being copied there, a lock that is held."""
    images = top / "images"
    image(images / "new.img", SIZE)
    written(images / "gone.img.sum", "0" * 32, age=0)
    written(images / "gone.img.lock", age=HOUR)
    written(images / ".x.img.sum.77.tmp", age=60)
    written(images / ".x.img.part", age=HOUR)
    assert faults(command, top, "--fix") == (0, {})
    assert (images / "gone.img.sum").exists()


def test_inside_a_directory_image_nothing_is_a_sidecar(command: Command, top: Path) -> None:
    clonezilla = top / "images" / "clonezilla"
    for name in ("clonezilla-img", "sda1.sum", "gone.img.torrent", ".x.1.tmp"):
        written(clonezilla / name, "0" * 32)
    aged(clonezilla)
    found = recognise(top)
    assert {finding.fault for finding in examine(look(Tree(found)), time.time())} == {"image without torrent"}


def test_a_bare_folder_has_its_owners_own_files(tmp_path: Path, command: Command) -> None:
    published(aged(image(tmp_path / "srv" / "w.img", SIZE)), tmp_path / "srv", SIZE)
    written(tmp_path / "srv" / "debian.torrent", "d4:infodee")
    written(tmp_path / "srv" / "SHA256.sum", "abc  debian.iso")
    assert faults(command, tmp_path / "srv")[1].keys() == set()


def test_groups_and_clients_are_compared_with_what_the_console_knows(command: Command, top: Path) -> None:
    for folder in ("groups/aula1", "groups/aula9", "clients/pc1", ".ogtorrent"):
        (top / folder).mkdir()
    (top / "groups/aula1/windows.img").mkdir()
    (top / "groups/aula1/windows.img/secret").write_text("")
    (top / "groups/aula1/windows.img/secret").chmod(0o2666)  # as it is to be on the seat
    (top / "groups/aula1/windows.img").chmod(0o700)
    assert faults(command, top) == (0, {})  # no console ever told
    kept = top / ".ogtorrent" / "inventory.json"
    client = {"name": "pc2", "group": "aula1", "ip": "10.1.1.2", "mac": ""}
    kept.write_text(json.dumps({"groups": ["aula1", "aula2"], "clients": [client]}))
    unknown = {"groups/aula9": "unknown to the console", "clients/pc1": "unknown to the console"}
    missing = {"groups/aula2": "known to the console alone", "clients/pc2": "known to the console alone"}
    assert faults(command, top) == (5, unknown | missing)
    assert faults(command, top, "--fix") == (5, unknown | missing)
    assert (top / "groups/aula2").is_dir() and faults(command, top) == (5, unknown)
    kept.write_text("{")
    assert faults(command, top) == (5, {".ogtorrent": "inventory"})


def test_overlays_are_examined_also_below_a_folder_and_nothing_within_them_is(
    command: Command, top: Path
) -> None:
    for holder in ("groups/aula1", "clients/pc1"):
        for name in ("windows.img", "aula1/windows.img"):
            overlay = top / holder / name
            written(overlay / "etc" / "x.sum", "0" * 32).chmod(0o2666)
            (overlay / "device").symlink_to("/dev/null")
            aged(overlay)
    unit = top / "groups/aula1/aula1"
    root = next(root for root in Tree(recognise(top)).layers if root.path.name == "groups")
    publish(root, ImagePath.parse("aula1/aula1/windows.img"), (), lambda done: None)
    shutil.copy(unit / "windows.img.torrent", unit / "gone.img.torrent")
    aged(unit / "gone.img.torrent")
    unit.chmod(0o777)
    os.mkfifo(top / "clients/pc1/aula1/windows.img/pipe")
    told = {
        "groups/aula1/windows.img": "image without torrent",
        "groups/aula1/aula1/gone.img.torrent": "torrent without image",
        "groups/aula1/aula1": "world-writable",
        "clients/pc1/windows.img": "image without torrent",
        "clients/pc1/aula1/windows.img": "unfit image",
    }
    assert faults(command, top) == (5, told)
    assert faults(command, top, "--fix")[1] == told
    assert not (unit / "gone.img.torrent").exists() and unit.stat().st_mode & 0o777 == 0o775
    assert (unit / "windows.img.torrent").exists() and (unit / "windows.img/etc/x.sum").exists()


@pytest.mark.root
def test_a_folder_of_somebody_else_is_given_back_by_root_alone(tmp_path: Path, top: Path) -> None:
    """The tree is of a user as whom its server runs."""
    for path in (top, *top.rglob("*")):
        os.chown(path, 1234, 1234)
    strange = top / "images" / "aula1"
    os.chown(strange, 0, 0)
    check = [sys.executable, "-m", "ogtorrent", "repo", "check", str(top), "--fix"]
    for before, code in (WITHOUT_CHOWN, 5), ([], 0):
        ran = subprocess.run([*before, *check], env=environment(), capture_output=True, text=True)
        assert (ran.returncode, "cannot write into this folder" in ran.stdout) == (code, True), ran.stderr
        assert "unforeseen" not in ran.stderr
    assert (strange.stat().st_uid, strange.stat().st_gid) == (1234, 1234)


@pytest.mark.room
def test_a_tree_is_checked_and_mended_under_a_server(
    command: Command, top: Path, serve: Callable[..., Server]
) -> None:
    server = serve(top)
    there = server.ready("aula1/windows.img")
    for seed in range(3):
        image(top / "images" / "aula1" / "other.img", SIZE, seed)
        assert faults(command, top, "--fix") == (0, {})
        server.ready("aula1/other.img")
    assert faults(command, top, "--fix") == (0, {})
    assert server.state("aula1/windows.img") == "ready" and server.seeds(there) == 1
    assert server.log.count("windows.img: seeding") == 1


def test_every_layout_can_be_checked(tmp_path: Path, command: Command) -> None:
    for place, layout in (
        ("opt/opengnsys/images", Layout.LEGACY),
        ("var/opt/eac/hdimages", Layout.EAC),
        ("srv/w", Layout.BARE),
    ):
        root = tmp_path / place
        published(aged(image(root / "aula1" / "w.img", SIZE)), root, SIZE)
        assert recognise(root).mirror.layout is layout
        assert faults(command, root) == (0, {})
        aged(root / "aula1" / "w.img.torrent")
        (root / "aula1" / "w.img").unlink()
        assert faults(command, root, "--fix")[1] == {"aula1/w.img.torrent": "torrent without image"}
