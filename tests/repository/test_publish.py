"""Publishing one image: its sidecars, and what is refused."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import AS_A_USER, environment, image

from ogtorrent.errors import ImageLocked, NotWritable, UnfitImage
from ogtorrent.layout import ImagePath, Root, Sidecar, recognise
from ogtorrent.repository.publish import contents, publish, standing, stands, withdraw
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import Metainfo

WINDOWS = ImagePath.parse("windows.img")
Command = Callable[..., tuple[int, str, str]]  # exit code, standard output, standard error
TRACKERS = ("http://127.0.0.1:6969/announce",)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "images").mkdir()
    return recognise(tmp_path / "images")


def published(root: Root, name: ImagePath = WINDOWS) -> Metainfo:
    return publish(root, name, TRACKERS, lambda done: None)


def sidecars(root: Root) -> list[str]:
    return sorted(path.name for path in root.path.iterdir() if path.name.endswith(tuple(Sidecar)))


@pytest.mark.parametrize("size", [1, 2**20 - 1, 2**20, 2**20 + 1, 3_000_000])
def test_sums_are_those_of_md5sum_and_the_metainfo_is_that_of_the_image(root: Root, size: int) -> None:
    place = image(root.path / "windows.img", size)
    found = published(root)
    for ending, command in ((".sum", 'tail -c1M "$1" | md5sum'), (".full.sum", 'md5sum < "$1"')):
        ran = subprocess.run(["sh", "-c", command, "sh", place], capture_output=True, text=True, check=True)
        assert Path(f"{place}{ending}").read_text().split() == ran.stdout.split()[:1]
    assert metainfo.read(Path(f"{place}.torrent")) == found
    assert (found.size, found.name, found.trackers) == (size, "images", TRACKERS)
    assert sorted(path.name for path in root.path.iterdir()) == [
        "windows.img", "windows.img.full.sum", "windows.img.mcast", "windows.img.sum", "windows.img.torrent",
    ]  # fmt: skip


def test_a_directory_image_is_one_stream_of_its_files_in_order(root: Root) -> None:
    image(root.path / "aula1/clone/sda1.img", 70_000, seed=1)
    image(root.path / "aula1/clone/parts/a", 50_000, seed=2)
    image(root.path / "aula1/clone/empty", 0)
    found = published(root, ImagePath.of("aula1", "clone"))
    assert found.is_directory
    assert ["/".join(found.within(file)) for file in found.files] == ["empty", "parts/a", "sda1.img"]
    stream = b"".join((root.path / "aula1/clone" / name).read_bytes() for name in ("parts/a", "sda1.img"))
    assert (root.path / "aula1/clone.full.sum").read_text() == hashlib.md5(stream).hexdigest() + "\n"
    assert stands(root, found)


@pytest.mark.parametrize("failing", [".sum", ".full.sum", ".torrent"])
def test_a_write_that_fails_leaves_no_torrent_and_nothing_half(root: Root, failing: str) -> None:
    image(root.path / "windows.img", 1000)
    (root.path / f"windows.img{failing}" / "x").mkdir(parents=True)  # a directory: no rename onto it
    with pytest.raises(NotWritable) as refused:
        published(root)
    assert f"windows.img{failing}" in str(refused.value)
    assert not (root.path / "windows.img.torrent").is_file()
    assert [path for path in root.path.iterdir() if path.name.startswith(".")] == []
    for path in root.path.glob("*sum"):
        assert path.is_dir() or len(path.read_text()) == 33


def test_an_image_whose_lock_stands_is_locked(root: Root) -> None:
    image(root.path / "windows.img", 1000)
    (root.path / "windows.img.lock").touch()
    with pytest.raises(ImageLocked) as refused:
        published(root)
    assert "windows.img.lock" in str(refused.value) and refused.value.exit_code == 4
    assert sidecars(root) == ["windows.img.lock"]


@pytest.mark.parametrize("name", ["windows.img", "clone/sda1"])
def test_an_image_that_is_open_for_writing_is_locked(root: Root, name: str) -> None:
    place = image(root.path / name, 1000)
    wanted = ImagePath.parse(name.split("/")[0])
    with place.open("ab"), pytest.raises(ImageLocked):
        published(root, wanted)
    assert sidecars(root) == []
    published(root, wanted)


def test_an_image_that_changes_while_it_is_read_is_locked(root: Root) -> None:
    place = image(root.path / "windows.img", 1000)
    with pytest.raises(ImageLocked) as refused:
        publish(root, WINDOWS, TRACKERS, lambda done: os.utime(place, ns=(1, 1)))
    assert "changed while it was read" in str(refused.value)
    assert sidecars(root) == []


def a_link(root: Root) -> None:
    (root.path / "clone").mkdir()
    (root.path / "clone" / "passwd").symlink_to("/etc/passwd")


def a_linked_folder(root: Root) -> None:
    (root.path / "clone").mkdir()
    (root.path / "clone" / "etc").symlink_to("/etc")


def a_pipe(root: Root) -> None:
    (root.path / "clone").mkdir()
    os.mkfifo(root.path / "clone" / "pipe")


def a_socket(root: Root) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(root.path / "clone"))


def an_empty_file(root: Root) -> None:
    (root.path / "clone").touch()


def an_empty_directory(root: Root) -> None:
    (root.path / "clone").mkdir()


def a_name_of_other_bytes(root: Root) -> None:
    (root.path / "clone").mkdir()
    Path(os.fsdecode(bytes(root.path / "clone") + b"/\xff.img")).write_bytes(b"x")


def nothing(root: Root) -> None:
    pass


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (a_link, "symbolic link 'passwd'"),
        (a_linked_folder, "symbolic link 'etc'"),
        (a_pipe, "no regular file"),
        (a_socket, "no regular file"),
        (an_empty_file, "is empty"),
        (an_empty_directory, "is empty"),
        (a_name_of_other_bytes, "not UTF-8"),
        (nothing, "nothing stands"),
    ],
)
def test_what_cannot_be_published_is_refused_with_a_sentence_and_exit_code_5(
    root: Root, command: Command, what: Callable[[Root], None], words: str
) -> None:
    what(root)
    code, _, said = command("publish", root.path / "clone")
    assert code == 5
    assert words in said and "Traceback" not in said
    assert sidecars(root) == []


def test_a_name_of_other_bytes_is_refused_on_the_command_line_too(root: Root, command: Command) -> None:
    place = os.fsdecode(bytes(root.path) + b"/\xff.img")
    Path(place).write_bytes(b"x")
    code, _, said = command("publish", place)
    assert code == 5 and "UTF-8" in said and said.isascii()


def test_the_command_publishes_what_it_can_and_returns_the_first_failure(
    root: Root, command: Command
) -> None:
    good, locked = image(root.path / "a.img", 1000), image(root.path / "b.img", 1000)
    (root.path / "b.img.lock").touch()
    code, _, said = command("publish", locked, good, root.path / "missing.img")
    assert code == 4 and "missing.img" in said
    assert (root.path / "a.img.torrent").exists() and not (root.path / "b.img.torrent").exists()


def test_an_unchanged_image_is_not_read_again_unless_asked(root: Root, command: Command) -> None:
    place = image(root.path / "windows.img", 1000)
    assert "1000 bytes" in command("publish", place)[1]
    # The same size and times with other bytes: whoever reads it would notice.
    times = place.stat()
    place.write_bytes(b"x" * 1000)
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
    before = metainfo.read(root.path / "windows.img.torrent")
    assert "published already" in command("publish", place)[1]
    assert metainfo.read(root.path / "windows.img.torrent") == before
    assert command("publish", "--again", place)[0] == 0
    assert metainfo.read(root.path / "windows.img.torrent").info_hash != before.info_hash


def test_the_command_recognises_the_tree_and_writes_the_trackers_it_is_given(
    tmp_path: Path, command: Command
) -> None:
    place = image(tmp_path / "opt/opengnsys/images/aula1/windows.img", 1000)
    trackers = ["http://10.0.0.1:6969/announce", "http://10.0.0.2:6969/announce"]
    code, _, said = command("publish", place, "--announce", trackers[0], "--announce", trackers[1])
    assert code == 0, said
    found = metainfo.read(place.with_name("windows.img.torrent"))
    assert (found.name, str(found.image), found.trackers) == ("images", "aula1/windows.img", tuple(trackers))


def test_only_metainfo_that_describes_the_image_stands(root: Root) -> None:
    place = image(root.path / "windows.img", 1000)
    found = published(root)
    assert standing(root, WINDOWS) == found
    os.utime(place, ns=(5, 5))
    assert standing(root, WINDOWS) is None
    published(root)
    (root.path / "linux.img.torrent").write_bytes((root.path / "windows.img.torrent").read_bytes())
    (root.path / "linux.img").write_bytes(place.read_bytes())
    assert standing(root, ImagePath.parse("linux.img")) is None


def test_a_file_that_was_added_to_a_directory_makes_it_another_image(root: Root) -> None:
    image(root.path / "clone/sda1", 1000)
    found = published(root, ImagePath.parse("clone"))
    image(root.path / "clone/sda2", 1000)
    assert not stands(root, found)


def test_withdrawing_takes_back_our_sidecars_and_leaves_those_of_others(root: Root) -> None:
    image(root.path / "windows.img", 1000)
    published(root)
    for name in ("windows.img.mcast", "windows.img.lock"):
        (root.path / name).touch()
    withdraw(root, WINDOWS)
    assert sidecars(root) == ["windows.img.lock", "windows.img.mcast"]
    foreign = b"d4:infod6:lengthi1e4:name9:linux.img12:piece lengthi16384e6:pieces20:" + bytes(20) + b"ee"
    (root.path / "linux.img.torrent").write_bytes(foreign)
    (root.path / "linux.img.sum").write_text("mine\n")
    withdraw(root, ImagePath.parse("linux.img"))
    assert sidecars(root)[:2] == ["linux.img.sum", "linux.img.torrent"]


@pytest.mark.room
@pytest.mark.root
def test_an_image_that_the_server_may_not_read_is_refused(root: Root) -> None:
    place = image(root.path / "windows.img", 1000)
    place.chmod(0o600)
    os.chown(place, 65534, 65534)
    ran = subprocess.run(
        [*AS_A_USER, sys.executable, "-m", "ogtorrent", "publish", place],
        env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 5 and "cannot be read" in ran.stderr


@pytest.mark.root
def test_a_link_is_an_image_where_its_maker_owns_the_file_too(root: Root, tmp_path: Path) -> None:
    secret = image(tmp_path / "secret", 1000)
    link = root.path / "linked.img"
    link.symlink_to(secret)
    found = contents(root, ImagePath.parse("linked.img"))  # root's own
    assert found.size == 1000
    os.chown(link, 1234, 1234, follow_symlinks=False)
    with pytest.raises(UnfitImage, match="of somebody else"):
        contents(root, ImagePath.parse("linked.img"))
    os.chown(secret, 1234, 1234)
    assert contents(root, ImagePath.parse("linked.img")) == found
