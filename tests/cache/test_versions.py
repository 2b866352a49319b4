"""The version before the one that stands: kept, exchanged, and never between the two, wherever it is cut."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from machines import HERE, environment, image

from ogtorrent.cache import landing, versions
from ogtorrent.cache.inventory import cached, inventory
from ogtorrent.errors import NotInCache
from ogtorrent.layout import ImagePath, Root, Sidecar, recognise
from ogtorrent.repository.publish import publish
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.sidecars import write_sidecars
from ogtorrent.swarm.torrent import places

# Ends itself by SIGKILL before its n-th touch of a file: a rename, link, unlink, open or exchange.
CUT = """
import os, signal, sys
from pathlib import Path
from ogtorrent.cache import versions, landing
from ogtorrent.layout import ImagePath, recognise
root, image, left = recognise(Path(sys.argv[2])), ImagePath.parse(sys.argv[3]), int(sys.argv[4])
TOUCHES = {"open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.utime", "ctypes.dlsym"}
def hook(event, facts):
    global left
    if event in TOUCHES and (event != "open" or sys.argv[2] in os.fsdecode(facts[0])):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
os.listdir(sys.argv[2])
sys.addaudithook(hook)
getattr(versions, sys.argv[1])(root, image)
"""


def version(root: Root, name: str, seed: int) -> Metainfo:
    """Publish a version of an image, of one file or, where the name has no ending, of two."""
    place = root.path / name
    if name.endswith(".img"):
        image(place, 100_000 + seed, seed)
    else:
        image(place / "clonezilla-img", 10, seed)
        image(place / "parts" / "sda1", 100_000 + seed, seed)
    return publish(root, ImagePath.parse(name), (), lambda done: None)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "images").mkdir()
    return recognise(tmp_path / "images")


@pytest.fixture(params=["aula1/windows.img", "clone"])
def two(request: pytest.FixtureRequest, root: Root) -> tuple[Root, Metainfo, Metainfo]:
    """A root where an old version was replaced by a new one."""
    old = version(root, request.param, 1)
    versions.keep(root, old.image)
    place = root.image(old.image)
    if place.is_dir():  # the second names stay
        shutil.rmtree(place)
    new = version(root, request.param, 2)
    assert versions.previous(root, old.image) == old
    return root, old, new


def content(of: Metainfo, place: Path) -> list[bytes]:
    return [Path(path).read_bytes() for path in places(of, place)]


def assert_consistent(root: Root, *known: Metainfo) -> None:
    """One of the versions stands whole, and no sidecar says anything that is not so of it."""
    place = root.image(known[0].image)
    standing = [one for one in known if one.describes(place)]
    assert len(standing) == 1
    for kind, expected in (
        (Sidecar.TORRENT, standing[0].raw),
        (Sidecar.TAIL_SUM, f"{standing[0].stamp and standing[0].stamp.tail_sum}\n".encode()),
        (Sidecar.FULL_SUM, f"{standing[0].stamp and standing[0].stamp.full_sum}\n".encode()),
    ):
        sidecar = root.sidecar(known[0].image, kind)
        assert not sidecar.exists() or sidecar.read_bytes() == expected


def assert_whole(root: Root, stands: Metainfo, before: Metainfo | None) -> None:
    found = cached(root, stands.image)
    assert found.described and found.beside == stands and found.previous == before
    for kind in (Sidecar.TAIL_SUM, Sidecar.FULL_SUM):
        assert root.sidecar(stands.image, kind).exists()
    leftovers = [
        path.name for path in root.path.rglob("*") if path.name.endswith((".leaving", ".old", ".tmp"))
    ]
    assert leftovers == []


def test_a_rollback_exchanges_the_versions_and_another_one_brings_the_newer_back(
    two: tuple[Root, Metainfo, Metainfo],
) -> None:
    root, old, new = two
    place, kept = root.image(old.image), root.previous(old.image)
    was = content(old, kept), content(new, place)
    assert versions.rollback(root, old.image) == old
    assert_whole(root, old, new)
    assert (content(old, place), content(new, kept)) == was
    assert versions.rollback(root, old.image) == new
    assert_whole(root, new, old)
    assert (content(old, kept), content(new, place)) == was


@pytest.mark.room
def test_a_rollback_that_is_killed_anywhere_leaves_one_version_whole_and_loses_neither(
    two: tuple[Root, Metainfo, Metainfo], tmp_path: Path
) -> None:
    root, old, new = two
    original = tmp_path / "original"
    shutil.copytree(root.path, original, copy_function=shutil.copy2)
    outcomes = set()
    for touches in range(200):
        shutil.rmtree(root.path)
        shutil.copytree(original, root.path, copy_function=shutil.copy2)
        command = [sys.executable, "-c", CUT, "rollback", str(root.path), str(old.image), str(touches)]
        ended = subprocess.run(command, env=environment(), capture_output=True, text=True, cwd=HERE)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        assert_consistent(root, old, new)
        versions.settle(root, old.image)
        stands, before = (old, new) if old.describes(root.image(old.image)) else (new, old)
        assert_whole(root, stands, before)
        outcomes.add(stands.info_hash)
        if ended.returncode == 0:
            break
    assert ended.returncode == 0 and touches > 20
    assert outcomes == {old.info_hash, new.info_hash}


@pytest.mark.room
def test_a_version_whose_keeping_is_killed_anywhere_counts_whole_or_not_at_all(
    root: Root, tmp_path: Path
) -> None:
    first = version(root, "windows.img", 1)
    for touches in range(100):
        command = [sys.executable, "-c", CUT, "keep", str(root.path), "windows.img", str(touches)]
        ended = subprocess.run(command, env=environment(), capture_output=True, text=True, cwd=HERE)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        assert versions.previous(root, first.image) in (None, first)
        versions.settle(root, first.image)  # what stands is no version before itself
        assert_whole(root, first, None)
        assert list(root.hidden()) == []
        if ended.returncode == 0:
            break
    assert ended.returncode == 0 and touches > 5


def test_nothing_is_rolled_back_to_that_is_not_there_or_not_whole(root: Root) -> None:
    old = version(root, "windows.img", 1)
    with pytest.raises(NotInCache):
        versions.rollback(root, old.image)
    versions.keep(root, old.image)
    new = version(root, "windows.img", 2)
    os.utime(root.previous(old.image))  # somebody wrote there
    with pytest.raises(NotInCache):
        versions.rollback(root, old.image)
    assert_whole(root, new, None)
    assert not root.previous(old.image).exists()


@pytest.mark.parametrize("left", ["damaged", "nothing"])
def test_a_rollback_takes_the_place_of_what_is_damaged_or_gone(
    two: tuple[Root, Metainfo, Metainfo], left: str
) -> None:
    root, old, new = two
    landing.doubt(new, root.image(new.image))
    if left == "nothing":
        place = root.image(new.image)
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert versions.rollback(root, old.image) == old
    assert_whole(root, old, None)


def test_the_previous_version_is_not_counted_as_an_image(two: tuple[Root, Metainfo, Metainfo]) -> None:
    root, old, new = two
    assert list(root.images()) == [old.image]
    assert [found for _, found in inventory(root.path.parent)] == [new]
    assert list(root.hidden()) == [old.image]


def test_in_place_the_old_version_says_first_that_it_is_none_any_more(
    two: tuple[Root, Metainfo, Metainfo],
) -> None:
    root, _, new = two
    was = content(new, root.image(new.image))
    landing.step_aside(root, new)
    found = cached(root, new.image)
    assert (found.stands, found.beside, found.previous) == (False, None, None)
    assert content(new, root.partial(new.image)) == was
    write_sidecars(root, new)
