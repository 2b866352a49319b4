"""The one file on a live system that has nothing but Python 3, and a root that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .debian import Booted, Machine, clean, machine
from .laboratory import MEBIBYTE, PROJECT, skip_without_room, until, write_random

pytestmark = [pytest.mark.room, pytest.mark.root]

PYZ = "/opt/ogtorrent.pyz"
ANOTHERS = "/opt/another.pyz"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def made(python: Path, folder: Path) -> Path:
    """What `make pyz` makes for a Python."""
    words = [PROJECT / "packaging" / "pyz", sys.executable, python, folder]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = folder.iterdir()
    assert done.stdout == f"{file}\n"
    return file


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clean Debian with Python 3 and the file, for this release's Python and for one that is not there."""
    skip_without_room(debootstrap="debootstrap", **{"systemd-nspawn": "systemd-container"})
    folder = tmp_path_factory.mktemp("pyz")
    with machine(clean(), folder / "machine") as system:
        system.apt("update")
        system.apt("install", "python3")
        version = system.run("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
        for name, runs in ((PYZ, version), (ANOTHERS, "3.13" if version != "3.13" else "3.12")):
            python = folder / "python"  # all that is asked of it is its version
            python.write_text(f"#!/bin/sh\necho {runs}\n")
            python.chmod(0o755)
            file = made(python, folder / runs)
            assert file.name == f"ogtorrent-0.1.0-cp{runs.replace('.', '')}-{os.uname().machine}.pyz"
            shutil.copy(file, system.root / name[1:])
        yield system.root


@pytest.fixture
def live(tree: Path, tmp_path: Path) -> Iterator[Booted]:
    disk = tmp_path / "disk"
    disk.mkdir()
    with Machine(tree).live(tmp_path / "console.log", f"--bind={disk}:/mnt") as system:
        yield system


def said(live: Booted, *words: str, code: int = 0) -> str:
    """What a command says that ends with this code."""
    lines = live.run("sh", "-c", '"$@"; echo "exit $?"', "sh", *words).splitlines()
    assert lines[-1] == f"exit {code}", lines
    return "\n".join(lines[:-1])


def unpacked(live: Booted) -> list[str]:
    """The directories where it stands unpacked, whole or in part."""
    found = live.run("find", "/run", "/dev/shm", "/tmp", "/mnt", "-name", "ogtorrent.pyz_*")
    return sorted(str(Path(line).parent) for line in found.splitlines())


def test_a_server_and_a_seat_run_from_it(live: Booted, tmp_path: Path) -> None:
    write_random(tmp_path / "disk" / "images" / "windows.img", 4 * MEBIBYTE, 1)
    assert said(live, PYZ, "--version").startswith("ogtorrent, version 0")
    assert said(live, "env", "LC_ALL=es_ES.UTF-8", PYZ, "--help").startswith("Uso: ogtorrent")
    said(live, PYZ, "publish", "--root", "/mnt/images", "/mnt/images/windows.img")
    serve = f"setsid {PYZ} serve /mnt/images --listen 127.0.0.1:6969 >/mnt/log 2>&1 </dev/null &"
    live.run("sh", "-c", serve)
    log = tmp_path / "disk" / "log"
    until(lambda: "announce http://" in log.read_text(), "the server answers", log=log)
    page = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:6969/').read().decode())"
    assert "<title>" in live.run("python3", "-c", page)

    seat = ["--cache", "/mnt/cache", "--address", "127.0.0.2", "--session", "seeder:600"]
    live.run("mkdir", "/mnt/cache")
    said(live, PYZ, "update-cache", "127.0.0.1", "/", "windows.img", *seat)
    (filled,) = (tmp_path / "disk" / "cache").rglob("windows.img")
    assert filled.read_bytes() == (tmp_path / "disk" / "images" / "windows.img").read_bytes()
    assert "ogtorrent-seed" in live.run("sh", "-c", "cat /proc/[0-9]*/comm"), "no seeder was left behind"
    assert len(unpacked(live)) == 1


def test_the_demo_starts_its_processes_from_it(live: Booted, tmp_path: Path) -> None:
    write_random(tmp_path / "disk" / "small.img", MEBIBYTE, 2)
    assert "PC 8" in said(live, PYZ, "demo", "--image", "/mnt/small.img")


@pytest.mark.parametrize(
    ("before", "user", "place"),
    [
        ("true", [], "/run/ogtorrent-pyz"),
        ("mount -o remount,noexec /run", [], "/dev/shm/ogtorrent-0"),  # as Debian's initramfs mounts it
        ("true", NOBODY, "/dev/shm/ogtorrent-65534"),
        ("mkdir -m 777 /dev/shm/ogtorrent-65534", NOBODY, "/tmp/ogtorrent-65534"),  # somebody's trap
        ("ln -s /mnt /dev/shm/ogtorrent-65534", NOBODY, "/tmp/ogtorrent-65534"),
        ("true", ["env", "SHIV_ROOT=/mnt/own"], "/mnt/own"),
    ],
)
def test_where_it_unpacks(live: Booted, before: str, user: list[str], place: str) -> None:
    live.run("sh", "-c", before)
    said(live, *user, PYZ, "--version")
    assert unpacked(live) == [place]


def test_without_a_place_it_says_so(live: Booted) -> None:
    live.run("sh", "-c", "for one in /run /dev/shm /tmp; do mount -o remount,noexec $one; done")
    refusal = said(live, PYZ, "--version", code=7)
    assert refusal.startswith("Error: There is no place") and "SHIV_ROOT" in refusal
    assert refusal.count("\n") == 0


def test_a_disk_too_small_is_told(live: Booted) -> None:
    live.run("sh", "-c", "mkdir /run/small && mount -t tmpfs -o size=8M tmpfs /run/small")
    refusal = said(live, "env", "SHIV_ROOT=/run/small", PYZ, "--version", code=7)
    assert "No space left" in refusal and refusal.count("\n") == 0
    live.run("mount", "-o", "remount,size=200M", "/run/small")
    said(live, "env", "SHIV_ROOT=/run/small", PYZ, "--version")


def test_several_at_once_unpack_once(live: Booted) -> None:
    all_at_once = f'for i in 1 2 3 4; do {PYZ} --version & pids="$pids $!"; done; wait $pids'
    assert live.run("sh", "-c", all_at_once).count("version 0") == 4
    assert unpacked(live) == ["/run/ogtorrent-pyz"]


def test_a_half_unpack_is_begun_anew(live: Booted) -> None:
    library = "/run/ogtorrent-pyz/*.tmp/site-packages/libtorrent/__init__.cpython*"
    killed = f"{PYZ} --version & until [ -e {library} ]; do :; done; kill -9 $!; wait $!; test $? = 137"
    live.run("sh", "-c", killed)
    assert live.run("sh", "-c", f"ls {library}").strip()
    said(live, PYZ, "--version")
    (place,) = live.run("sh", "-c", "echo /run/ogtorrent-pyz/ogtorrent.pyz_*/site-packages").split()
    said(live, "env", f"PYTHONPATH={place}", "python3", "-c", "import libtorrent")


def test_another_python_is_told_which_it_needs(live: Booted) -> None:
    refusal = said(live, ANOTHERS, "--version", code=7)
    assert refusal.startswith("Error: This ogtorrent is for Python 3.1") and "make pyz PYTHON=" in refusal
    assert refusal.count("\n") == 0
    assert unpacked(live) == []
