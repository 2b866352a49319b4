"""What is packed of a system that runs from a disk."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ogtorrent.offline.live import left_out


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
