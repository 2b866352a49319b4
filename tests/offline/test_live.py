"""What is packed of a system that runs from a disk."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ogtorrent.errors import NoLiveSystem
from ogtorrent.offline import record
from ogtorrent.offline.live import Kind, left_out, read, source

KERNEL, SQUASHFS = bytes(0x202) + b"HdrS", b"hsqs"


@pytest.mark.room
def test_what_is_left_out_is_left_out_with_its_hidden_files(tmp_path: Path) -> None:
    for name in (
        "etc/fstab",
        "etc/hosts",
        "home/ana/thesis",
        "home/.trash",
        "mnt/a[b] (c)/image",
        "mnt/a[b] (c)/.ogtorrent/records",
        "srv/data",
        "tmp/.X11-unix/X0",
    ):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).touch()
    emptied = ("home", "tmp", "mnt/a[b] (c)")
    packing = ["mksquashfs", tmp_path / "root", tmp_path / "packed", "-quiet", "-no-progress", "-wildcards"]
    subprocess.run([*packing, "-e", *left_out(emptied)], check=True)
    ran = subprocess.run(
        ["unsquashfs", "-l", "-d", "", tmp_path / "packed"], capture_output=True, text=True, check=True
    )
    assert set(ran.stdout.split("\n")) - {""} == {
        "/etc",
        "/etc/hosts",
        "/home",
        "/mnt",
        "/mnt/a[b] (c)",
        "/srv",
        "/srv/data",
        "/tmp",
    }


def fill(folder: Path, **files: bytes) -> Path:
    """Each file newer than the one before."""
    for number, (name, content) in enumerate(files.items()):
        (folder / name).write_bytes(content)
        os.utime(folder / name, (number, number))
    return folder


def test_a_kernel_goes_with_its_own_initrd_and_not_with_a_signature(tmp_path: Path) -> None:
    names = (
        "vmlinuz-1",
        "vmlinuz-2",
        "initrd.img-2",
        "initrd.img-1",
        "a.squashfs",
        "vmlinuz-2.sha256",
        "b.squashfs",
    )
    contents = (KERNEL, KERNEL, b"2", b"1", SQUASHFS, b"0123  vmlinuz-2", b"")
    found = source(str(fill(tmp_path, **dict(zip(names, contents, strict=True)))))
    assert found.initrd is not None and found.root is not None
    assert [one.name for one in (found.kernel, found.initrd, found.root)] == [
        "vmlinuz-2",
        "initrd.img-2",
        "a.squashfs",
    ]


@pytest.mark.parametrize("bad", ["vmlinuz", "initrd.img", "root.squashfs"])
def test_an_empty_file_is_no_part_of_a_live_system(tmp_path: Path, bad: str) -> None:
    files = {"vmlinuz": KERNEL, "initrd.img": b"1", "root.squashfs": SQUASHFS}
    with pytest.raises(NoLiveSystem):
        source(str(fill(tmp_path, **files | {bad: b""})))


FACTS = {
    "kind": "live-boot",
    "kernel": "vmlinuz",
    "initrd": "initrd.img",
    "where": "/srv",
    "stamp": {},
    "files": {"vmlinuz": [1, "0"], "initrd.img": [1, "0"], "root.squashfs": [1, "0"]},
}


def test_what_is_written_of_a_live_system_is_believed_only_as_we_write_it(tmp_path: Path) -> None:
    folder = "live-0123456789ab"
    (tmp_path / folder).mkdir()

    def told(what: object) -> object:
        (tmp_path / folder / "live.json").write_text(json.dumps(what))
        return read(tmp_path, folder)

    assert told(FACTS) is not None
    for bad in (
        None,
        5,
        "x",
        [],
        FACTS | {"kernel": "vmlinuz\n}\nhalt"},
        FACTS | {"initrd": "../../etc/shadow"},
        FACTS | {"kind": Kind.OGLIVE},
        FACTS | {"files": {}},
        FACTS | {"files": ["vmlinuz"]},
        FACTS | {"files": FACTS["files"] | {"../x": [1, "0"]}},  # type: ignore[operator]
    ):
        assert told(bad) is None
    (tmp_path / folder / "live.json").write_text("[" * 100_000)
    assert read(tmp_path, folder) is None
    told(FACTS)
    assert read(tmp_path, f"../{tmp_path.name}/{folder}") is None


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        [],
        {},
        {"append": 5},
        {"append": "'"},
        {"where": 1},
        {"core": "1"},
        {"language": "../en"},
        {"x": 1},
    ],
)
def test_what_was_asked_for_is_believed_only_as_we_write_it(tmp_path: Path, bad: object) -> None:
    asked = record.Asked(where="/srv", append="quiet")
    record.write(tmp_path, asked)
    assert record.read(tmp_path) == asked
    file = next(tmp_path.glob("*.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | bad if isinstance(bad, dict) and bad else bad))
    assert record.read(tmp_path) == record.Asked()
