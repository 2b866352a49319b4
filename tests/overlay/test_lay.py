"""Overlays laid over a file system: kept to the nanosecond, whole or not at all, and nowhere else."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machines import environment, killed_at
from rooms.disks import loop_device

from ogtorrent.errors import CorruptImage, NoTarget, NotLaid
from ogtorrent.layout import Layer
from ogtorrent.overlay.dress import Lost
from ogtorrent.overlay.gather import gather
from ogtorrent.overlay.lay import Outcome, What, lay
from ogtorrent.overlay.layers import gathered, merge
from ogtorrent.overlay.manifest import LAYING

MAKE = {"ext4": ["mkfs.ext4", "-q"], "ntfs": ["mkntfs", "-q", "-Q"], "exfat": ["mkfs.exfat"]}
MOUNT = {"ext4": "mount", "ntfs": "ntfs-3g", "exfat": "mount.exfat-fuse"}
PC, ROOM = Layer.CLIENT, Layer.GROUP


@contextmanager
def mounted(home: Path, kind: str, mebibytes: int) -> Iterator[Path]:
    """A file system on a loop device; those of Windows by FUSE, which every kernel has."""
    place = home / kind
    place.mkdir()
    with loop_device(home / f"{kind}.disk", mebibytes) as device:
        subprocess.run([*MAKE[kind], device], check=True, capture_output=True)
        subprocess.run([MOUNT[kind], device, place], check=True, capture_output=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "ext4", 16) as place:
        yield place


@pytest.fixture
def group(tmp_path: Path) -> Path:
    place = tmp_path / "group"
    place.mkdir()
    return place


@pytest.fixture
def target(tmp_path: Path) -> Path:
    place = tmp_path / "target"
    (place / "lost+found").mkdir(parents=True)
    return place


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def laid(target: Path, *overlays: Path, dry_run: bool = False) -> Outcome:
    found = [gathered(layer, layer[:-1], place) for layer, place in zip(Layer, overlays, strict=False)]
    return lay(target, merge(found).laid, dry_run)


def told(outcome: Outcome, what: What) -> list[str]:
    return [change.path for change in outcome.changes if change.what is what]


def why(outcome: Outcome) -> dict[str, str]:
    return {change.path: change.why for change in outcome.changes if change.what is What.REFUSED}


@pytest.mark.root
@pytest.mark.room
def test_all_that_is_published_of_a_file_is_laid_on_ext4(ext4: Path, group: Path) -> None:
    write(group / "etc/shadow", "root:*:\n").chmod(0o640)
    os.chown(group / "etc/shadow", 0, 42)
    tool = write(group / "usr/bin/tool")
    os.chown(tool, 1234, 1235)
    tool.chmod(0o4755)
    (group / "usr/bin/second").hardlink_to(tool)
    (group / "etc/mtab").symlink_to("/proc/self/mounts")
    os.chown(group / "etc/mtab", 7, 8, follow_symlinks=False)
    (group / "srv/empty").mkdir(parents=True)
    (group / "srv/empty").chmod(0o1777)
    write(group / "none", "")
    os.setxattr(tool, "user.origin", b"aula1")
    os.setxattr(tool, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    access = "02000000 01000600ffffffff 02000400e9030000 04000400ffffffff 10000600ffffffff 20000000ffffffff"
    os.setxattr(group / "etc/shadow", "system.posix_acl_access", bytes.fromhex(access))
    for path in (tool, group / "etc/shadow", group / "srv/empty", group / "srv"):
        os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    os.utime(group / "etc/mtab", ns=(1, 1_500_000_000_987_654_321), follow_symlinks=False)

    first = laid(ext4, group)
    assert told(first, What.NEW) == sorted(told(first, What.NEW)) and not first.lost
    (ext4 / "lost+found").rmdir()
    assert gather(ext4, "target") == gather(group, "group")
    assert (ext4 / "usr/bin/second").stat().st_ino == (ext4 / "usr/bin/tool").stat().st_ino
    inodes = {path: path.lstat().st_ino for path in ext4.rglob("*")}

    again = laid(ext4, group)
    assert {change.what for change in again.changes} == {What.UNCHANGED}
    assert {path: path.lstat().st_ino for path in ext4.rglob("*")} == inodes


def test_a_client_wins_over_its_group_and_both_over_the_image(
    target: Path, group: Path, tmp_path: Path
) -> None:
    client = tmp_path / "client"
    write(target / "etc/hostname", "image")
    write(target / "etc/fstab", "image")
    for name in ("hostname", "hosts", "tool/a", "tool/b"):
        write(group / "etc" / name, "group")
    (group / "etc/hosts.copy").hardlink_to(group / "etc/hosts")
    for name in ("hostname", "hosts", "tool"):
        write(client / "etc" / name, "client")
    laid(target, group, client)
    found = {path.name: path.read_text() for path in (target / "etc").iterdir()}
    assert found == {
        "hostname": "client", "fstab": "image", "hosts": "client", "hosts.copy": "group", "tool": "client",
    }  # fmt: skip
    merged = merge([gathered(ROOM, "aula1", group), gathered(PC, "pc1", client)])
    assert merged.laid["etc/hosts"].over == ("groups/aula1",)
    assert [one.entry.path for one in merged.hidden] == ["etc/tool/a", "etc/tool/b"]


def test_a_file_takes_the_place_of_an_empty_directory_and_the_reverse(target: Path, group: Path) -> None:
    (target / "file").mkdir()
    write(target / "folder")
    (target / "nowhere").symlink_to("gone")
    write(group / "file", "new")
    write(group / "folder/in it", "new")
    write(group / "nowhere/in it", "new")
    assert not why(laid(target, group))
    assert (target / "file").read_text() == (target / "folder/in it").read_text() == "new"
    assert (target / "nowhere/in it").read_text() == "new" and not (target / "nowhere").is_symlink()


def test_a_directory_that_is_not_empty_stays_and_the_rest_is_laid(target: Path, group: Path) -> None:
    write(target / "home/user/thesis", "years")
    write(group / "home", "no")
    write(group / "other", "yes")
    for dry_run in (True, False):
        assert "not empty" in why(laid(target, group, dry_run=dry_run))["home"]
    assert (target / "home/user/thesis").read_text() == "years"
    assert (target / "other").read_text() == "yes"


def test_links_in_the_target_are_walked_as_in_a_chroot(target: Path, group: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (target / "usr/lib").mkdir(parents=True)
    (target / "lib").symlink_to("usr/lib")
    (target / "srv").mkdir()
    (target / "srv/absolute").symlink_to("/usr/lib")
    (target / "up").symlink_to("../../../../../usr/lib")
    (target / "out").symlink_to(outside)
    write(group / "lib/one")
    write(group / "srv/absolute/two")
    write(group / "up/three")
    write(group / "out/four")
    write(outside / "file", "mine")
    (target / "etc").mkdir()
    (target / "etc/file").symlink_to(outside / "file")
    write(group / "etc/file", "theirs")
    laid(target, group)
    assert {path.name for path in (target / "usr/lib").iterdir()} == {"one", "two", "three"}
    assert (target / "lib").is_symlink() and (target / "srv/absolute").is_symlink()
    # What leads out is no directory inside: an overlay's own takes its place.
    assert (target / "out/four").exists() and not (target / "out").is_symlink()
    assert (outside / "file").read_text() == "mine" and (target / "etc/file").read_text() == "theirs"
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert {change.what for change in laid(target, group).changes} == {What.UNCHANGED}


def test_two_paths_that_a_link_makes_one_are_not_laid_in_turn(target: Path, group: Path) -> None:
    (target / "usr/lib").mkdir(parents=True)
    (target / "lib").symlink_to("usr/lib")
    write(group / "lib/same", "first")
    write(group / "usr/lib/same", "second")
    for _ in range(2):
        assert "lib/same" in why(laid(target, group))["usr/lib/same"]
    assert (target / "usr/lib/same").read_text() == "first"


def test_a_target_that_changes_meanwhile_leads_nowhere_else(
    target: Path, group: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (target / "real").mkdir()
    for number in range(20):
        write(group / f"dir/{number}")
    ended = threading.Event()

    def flip() -> None:
        spare = target / "spare"
        while not ended.is_set():
            spare.symlink_to(outside)
            spare.replace(target / "link")
            spare.symlink_to("real")
            spare.replace(target / "link")

    (target / "link").symlink_to("real")
    (target / "dir").symlink_to("link")
    hostile = threading.Thread(target=flip)
    hostile.start()
    try:
        for _ in range(20):
            laid(target, group)
            for path in (target / "real").iterdir():
                path.unlink()
    finally:
        ended.set()
        hostile.join()
    assert list(outside.iterdir()) == []


@pytest.mark.room
def test_whoever_swaps_directories_between_two_steps_gets_nothing_written_outside(
    tmp_path: Path, group: Path
) -> None:
    for path in ("etc/hosts", "etc/deep/file", "lib/inside"):
        write(group / path, "overlay")
    (group / "etc/link").symlink_to("hosts")
    (group / "second").hardlink_to(group / "etc/hosts")
    outside = tmp_path / "outside"
    for name in ("hosts", "file", "inside", "deep/file"):
        write(outside / name, "mine")
    before = gather(outside, "outside")
    events = ("open", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.chmod", "os.chown", "os.utime")
    for step in itertools.count():
        target = tmp_path / f"target {step}"
        write(target / "etc/hosts", "image")
        write(target / "usr/lib/inside", "image")
        (target / "lib").symlink_to("usr/lib")
        left, swapping = step, False

        def swap(event: str, _: tuple[object, ...], target: Path = target) -> None:
            nonlocal left, swapping
            if event not in events or swapping:
                return
            left -= 1
            if left == -1:
                swapping = True
                for number, name in enumerate(("etc/deep", "etc", "usr/lib", "usr")):
                    if (target / name).is_dir():
                        (target / name).rename(target / f"was {number}")
                        (target / name).symlink_to(outside)

        if os.fork() == 0:
            sys.addaudithook(swap)
            with contextlib.suppress(NotLaid, CorruptImage):
                laid(target, group)
            os._exit(left >= 0)
        ended = os.waitstatus_to_exitcode(os.wait()[1])
        assert gather(outside, "outside") == before, step
        if ended:
            break
    assert step > 30


def test_a_dry_run_tells_the_same_and_changes_nothing(target: Path, group: Path) -> None:
    write(target / "etc/hosts", "old")
    write(target / "folder")
    write(group / "etc/hosts", "new")
    write(group / "etc/new/deep")
    write(group / "folder/in it")
    before = gather(target, "target")
    planned = laid(target, group, dry_run=True)
    assert gather(target, "target") == before
    done = laid(target, group)
    assert [(one.path, one.what) for one in planned.changes] == [(one.path, one.what) for one in done.changes]


def test_what_a_killed_run_left_is_gone_after_the_next(target: Path, group: Path) -> None:
    write(group / "etc/hosts")
    laid(target, group)
    write(target / "etc" / LAYING, "half")
    (target / LAYING).mkdir()
    assert {change.what for change in laid(target, group).changes} >= {What.UNCHANGED}
    assert not list(target.rglob(LAYING))


def test_only_one_run_lays_at_a_time(target: Path, group: Path) -> None:
    import fcntl

    write(group / "file")
    descriptor = os.open(target, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(NotLaid, match="another run"):
        laid(target, group)
    os.close(descriptor)
    laid(target, group)


def test_a_target_that_is_none(target: Path, group: Path) -> None:
    with pytest.raises(NoTarget) as refusal:
        laid(write(target / "file"), group)
    assert refusal.value.exit_code == 3


def test_where_a_partition_was_to_be_mounted_nothing_is_written(tmp_path: Path, group: Path) -> None:
    write(group / "etc/hosts")
    place = tmp_path / "sda2"
    place.mkdir()
    for dry_run in (True, False):
        with pytest.raises(NoTarget, match="nothing is mounted there"):
            laid(place, group, dry_run=dry_run)
    assert list(place.iterdir()) == []


def test_an_overlay_that_is_not_as_its_manifest_says_changes_nothing(target: Path, group: Path) -> None:
    write(group / "a", "whole")
    write(group / "b", "whole")
    merged = merge([gathered(ROOM, "aula1", group)]).laid
    write(group / "b", "longer than it was")
    with pytest.raises(CorruptImage):
        lay(target, merged, False)
    (group / "b").unlink()
    (group / "b").symlink_to("/etc/passwd")
    with pytest.raises(CorruptImage):
        lay(target, merged, False)
    assert {path.name for path in target.iterdir()} == {"lost+found"}


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


@pytest.mark.root
@pytest.mark.room
def test_a_full_or_read_only_target_has_nothing_half(ext4: Path, group: Path) -> None:
    write(ext4 / "a", "old")
    write(group / "a", "new")
    with (group / "b").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    before = gather(ext4, "target")
    with pytest.raises(NotLaid, match="are free"):
        laid(ext4, group)
    assert gather(ext4, "target") == before
    (group / "b").unlink()
    remount(ext4, "ro")
    with pytest.raises(NotLaid, match="Read-only") as refusal:
        laid(ext4, group)
    assert refusal.value.exit_code == 14 and gather(ext4, "target") == before
    remount(ext4, "rw")
    assert told(laid(ext4, group), What.REPLACED) == ["a"]
    remount(ext4, "ro")
    assert told(laid(ext4, group), What.UNCHANGED) == ["a"]


@pytest.mark.root
@pytest.mark.room
@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        ("ntfs", {Lost.OWNER, Lost.MODE, Lost.TIMES}),
        ("exfat", {Lost.OWNER, Lost.MODE, Lost.TIMES, Lost.XATTRS, Lost.HARD_LINKS}),
    ],
)
def test_a_windows_file_system_gets_the_bytes_and_what_it_cannot_keep_is_said(
    tmp_path: Path, group: Path, kind: str, lost: set[Lost]
) -> None:
    tool = write(group / "Windows/tool", "bytes")
    tool.chmod(0o751)
    os.chown(tool, 1234, 1235)
    os.setxattr(tool, "user.origin", b"aula1")
    os.utime(tool, ns=(1, 1_600_000_000_123_456_789))
    (group / "second").hardlink_to(tool)
    with mounted(tmp_path, kind, 16) as target:
        first = laid(target, group)
        assert not why(first)
        assert (target / "Windows/tool").read_text() == (target / "second").read_text() == "bytes"
        assert first.lost == lost
        again = laid(target, group)
        assert {change.what for change in again.changes} == {What.UNCHANGED}
        write(target / "folder")
        (target / "file").mkdir()
        write(group / "folder/in it", "new")
        write(group / "file", "new")
        assert not why(laid(target, group))  # neither file system can exchange two names
        assert (target / "folder/in it").read_text() == (target / "file").read_text() == "new"
        assert not list(target.rglob(LAYING))
        (group / "link").symlink_to("tool")
        assert set(why(laid(target, group))) == ({"link"} if kind == "exfat" else set())


@pytest.mark.root
@pytest.mark.room
def test_what_runs_as_its_owner_does_not_run_as_another(target: Path, tmp_path: Path) -> None:
    tool = write(tmp_path / "repo/clients/pc1/win.img/tool")
    (tmp_path / "repo/images").mkdir()
    os.chown(tool, 1234, 1234)
    tool.chmod(0o6755)
    command = [sys.executable, "-m", "ogtorrent", "overlay", "apply", target, "--image", "win.img"]
    command += ["--root", tmp_path / "repo", "--client", "pc1"]
    ran = subprocess.run(
        ["setpriv", "--bounding-set", "-chown", "--inh-caps", "-all", *command],
        env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0 and "does not keep: owners" in ran.stdout, ran.stderr
    assert stat.S_IMODE((target / "tool").stat().st_mode) == 0o755


@pytest.mark.room
def test_a_run_that_is_killed_at_any_step_leaves_nothing_after_the_next(tmp_path: Path, group: Path) -> None:
    for path in ("etc/hosts", "new/deep/file", "folder", "file/in it", "lib/inside"):
        write(group / path, "overlay")
    (group / "etc/mtab").symlink_to("/proc/self/mounts")
    (group / "second").hardlink_to(group / "etc/hosts")

    def restored(name: str) -> Path:
        target = tmp_path / name
        write(target / "etc/hosts", "image")
        write(target / "file", "image")
        (target / "folder").mkdir()
        (target / "usr/lib").mkdir(parents=True)
        (target / "lib").symlink_to("usr/lib")
        return target

    def facts(target: Path) -> list[tuple[object, ...]]:
        found = gather(target, "target")
        return [(one.path, one.kind, one.mode, one.size, one.target) for one in found]

    whole = restored("whole")
    laid(whole, group)
    also = ("os.link", "os.symlink", "os.chmod", "os.utime", "ctypes.dlsym")
    for step in itertools.count():
        target = restored(f"cut {step}")
        killed = killed_at(step, lambda target=target: laid(target, group), also)  # type: ignore[misc]
        laid(target, group)
        assert facts(target) == facts(whole) and not list(target.rglob(LAYING)), step
        if not killed:
            break
    assert step > 30


def test_what_is_laid_does_not_depend_on_what_an_earlier_run_laid(tmp_path: Path) -> None:
    """A link that led nowhere hinders nobody; below a path that is not laid nothing is."""
    for name, links, overlay in (
        ("nowhere", {"a": "file", "b": "c", "c": "a"}, {"c": "file", "b/a": "file"}),
        ("top", {"c": "/"}, {"a": "/b", "a/a": "file", "c/a/a": "file", "c/b": "folder"}),
    ):
        target, group = tmp_path / name / "target", tmp_path / name / "group"
        grow(target, links)
        grow(group, overlay)
        first = laid(target, group)
        assert {change.what for change in laid(target, group).changes} <= {What.UNCHANGED, What.REFUSED}
        assert bool(why(first)) is (name == "top")


def grow(top: Path, paths: dict[str, str]) -> None:
    """Files, folders and links, as far as they are possible inside."""
    top.mkdir(parents=True)
    for path, what in paths.items():
        place = top / path
        with contextlib.suppress(OSError):
            if not os.path.realpath(place.parent).startswith(str(top)):
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if what == "folder":
                place.mkdir()
            elif what == "file":
                write(place, "image")
            else:
                place.symlink_to("c" if what == "loop" else what)


ANYTHING = st.dictionaries(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join),
    st.sampled_from(["file", "folder", "/", "..", "../..", "a", "/b", "b/c", "../outside", "loop"]),
    max_size=8,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING, ANYTHING)
def test_whatever_links_stand_there_nothing_is_laid_outside_and_a_second_run_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, image: dict[str, str], overlay: dict[str, str]
) -> None:
    home = tmp_path_factory.mktemp("hostile")
    target, outside, group = home / "target", home / "outside", home / "group"
    outside.mkdir()
    grow(target, image or {"b": "folder"})
    grow(group, overlay or dict.fromkeys(("a/b/c", "b/a", "c/c/a"), "file"))
    refused = why(laid(target, group)).keys()
    before = gather(target, "target")
    again = laid(target, group)
    assert why(again).keys() == refused and set(told(again, What.UNCHANGED)) == {
        change.path for change in again.changes if change.path not in refused
    }
    assert gather(target, "target") == before
    assert list(outside.iterdir()) == [] and {path.name for path in home.iterdir()} == {
        "group",
        "outside",
        "target",
    }
    assert not list(target.rglob(LAYING))
