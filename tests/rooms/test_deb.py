"""The Debian package on a clean machine that boots: installed, used, upgraded, removed, purged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.port import NAMESPACES
from benchmarks.room import Room

from .debian import Booted, Machine, clean, machine
from .laboratory import MEBIBYTE, OGTORRENT, PROJECT, sha256, skip_without_room, until, write_random

pytestmark = [pytest.mark.room, pytest.mark.root]

SETTINGS = Path("etc/ogtorrent/ogtorrent.toml")


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    skip_without_room(
        **{"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "lintian": "lintian"}
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make deb` makes, packed fast."""
    folder = tmp_path_factory.mktemp("deb")
    builder = {"DEBFULLNAME": "Admin", "DEBEMAIL": "admin@example.org", "XZ_LEVEL": "0"}
    words = [PROJECT / "packaging" / "deb", sys.executable, folder]
    done = subprocess.run(words, env={**os.environ, **builder}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.deb")
    assert done.stdout == f"{built}\n"
    return built


def older(package: Path, folder: Path) -> Path:
    """The same package as a version before it."""
    tree = folder / "older"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 0~before."))
    built = folder / "older.deb"
    subprocess.run(["dpkg-deb", "--build", "-Znone", tree, built], check=True, capture_output=True)
    shutil.rmtree(tree)
    return built


def test_lintian_finds_no_error(package: Path) -> None:
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error", package], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", ["ogtorrent", "ogtorrent-cache", "ogtorrent-disk@"])
def test_systemd_finds_the_service_little_exposed(unit: str) -> None:
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager"]
    done = subprocess.run(
        [*words, PROJECT / "packaging" / f"{unit}.service"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "Overall exposure level" in done.stdout, done.stdout + done.stderr


@pytest.fixture
def installed(package: Path, tmp_path: Path) -> Iterator[Machine]:
    """A clean machine with OpenGnsys's group, and an older version of ours that is configured."""
    with machine(clean(), tmp_path / "machine") as server:
        server.run("groupadd", "--system", "opengnsys")
        server.apt("update")
        shutil.move(older(package, tmp_path), server.root / "older.deb")
        shutil.copy(package, server.root / "ogtorrent.deb")
        server.apt("install", "logrotate", "/older.deb")
        with (server.root / SETTINGS).open("a") as settings:
            settings.write('access-log = "/var/log/ogtorrent/access.log"\n')
        yield server


@pytest.fixture
def images(installed: Machine, tmp_path: Path) -> Path:
    """OpenGnsys's tree as its installer leaves it: of root, for a group that may write there."""
    group = int(installed.run("getent", "group", "opengnsys").split(":")[2])
    tree = tmp_path / "opengnsys" / "images"
    write_random(tree / "windows.img", 4 * MEBIBYTE, 1)
    for path in (tree, tree / "windows.img"):
        os.chown(path, 0, group)
    tree.chmod(0o775)
    (tree / "windows.img").chmod(0o640)
    return tree


def test_a_server_from_its_installation_to_its_purge(
    installed: Machine, images: Path, tmp_path: Path
) -> None:
    disk, log = f"--bind={images.parent}:/opt/opengnsys", tmp_path / "console.log"
    with (
        Room(seats=3) as room,
        installed.booted(NAMESPACES / room.repository.namespace, log, disk) as server,
    ):
        units = ("ogtorrent", "ogtorrent-cache")
        assert server.run("systemctl", "is-enabled", *units, check=False).split() == ["disabled", "disabled"]
        server.run("systemctl", "enable", "--now", "ogtorrent")
        until(lambda: state(room, "windows.img") == "ready", "the image is published")
        own = int(server.run("id", "-u", "ogtorrent"))
        assert runs_as(server) == own != 0
        assert (images / "windows.img.torrent").stat().st_uid == own
        fill(room, 0, "windows.img", tmp_path, images)
        waits_for_a_writer(room, images)

        rotate(server, room)
        fill(room, 1, "windows.img", tmp_path, images)
        assert logs(server)["access.log"] > 0

        before = server.property("ogtorrent", "MainPID"), configured(installed)
        server.run("dpkg", "--install", "/ogtorrent.deb")
        assert server.property("ogtorrent", "ActiveState") == "active"
        assert server.property("ogtorrent", "MainPID") != before[0], "the old version runs on"
        assert server.property("ogtorrent-cache", "ActiveState") == "inactive"
        assert configured(installed) == before[1]
        until(lambda: state(room, "windows.img") == "ready", "the new version answers")
        fill(room, 2, "windows.img", tmp_path, images)

        kept = {path.name: path.stat().st_uid for path in images.iterdir()}
        server.run("dpkg", "--remove", "ogtorrent")
        assert server.property("ogtorrent", "ActiveState") == "inactive"
        assert configured(installed) == before[1]
        server.run("dpkg", "--purge", "ogtorrent")
        assert left(installed) == set()
        assert {path.name: path.stat().st_uid for path in images.iterdir()} == kept
        assert kept["windows.img"] == 0 and kept["windows.img.torrent"] == own
        assert server.run("id", "-u", "ogtorrent").strip() == str(own), (
            "its sidecars would be the next user's"
        )


def state(room: Room, image: str) -> str:
    """What the catalogue says of an image, to a seat."""
    url = f"http://{room.repository.address}:6969/catalogue/{image}"
    answer = room.seats[0].run(["curl", "-sS", url], check=False).stdout
    return str(json.loads(answer or "{}").get("state"))


def fill(room: Room, number: int, image: str, folder: Path, images: Path) -> None:
    """Bring an image into the cache of a seat."""
    seat, cache = room.seats[number], folder / f"cache{number}"
    cache.mkdir()
    words = ["update-cache", room.repository.address, "/", image, "--cache", cache, "--session", "leecher:0"]
    done = seat.run([*OGTORRENT, *words], check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    (filled,) = cache.rglob(image)
    assert sha256(filled) == sha256(images / image)


def runs_as(server: Booted) -> int:
    """The user of the service's process."""
    status = server.run("cat", f"/proc/{server.property('ogtorrent', 'MainPID')}/status")
    return int(status.partition("Uid:")[2].split()[0])


def waits_for_a_writer(room: Room, images: Path) -> None:
    """Another's file that is open for writing is not published, though it is as still as one that is."""
    with (images / "linux.img").open("xb") as writer:
        writer.write(bytes(MEBIBYTE))
        writer.flush()
        write_random(images / "other.img", MEBIBYTE, 2)
        until(lambda: state(room, "other.img") == "ready", "an image beside it is published")
        assert state(room, "linux.img") != "ready" and not (images / "linux.img.torrent").exists()
    until(lambda: state(room, "linux.img") == "ready", "it is published, too")


def logs(server: Booted) -> dict[str, int]:
    """The size of each log."""
    listed = server.run("find", "/var/log/ogtorrent", "-type", "f", "-printf", "%f %s\n")
    return {name: int(size) for name, size in map(str.split, listed.splitlines())}


def rotate(server: Booted, room: Room) -> None:
    """logrotate moves what was written, and is content."""
    written = logs(server)["access.log"]
    assert written > 0
    server.run("logrotate", "--force", "/etc/logrotate.d/ogtorrent")
    # Who came before the file was changed may have had a line more.
    assert logs(server)["access.log.1"] >= written


def configured(server: Machine) -> str:
    return (server.root / SETTINGS).read_text()


def left(server: Machine) -> set[str]:
    """What is there of us, besides the deb files themselves and what dpkg and systemd log."""
    top = [server.root / "usr", server.root / "etc", server.root / "var"]
    kept = ("dpkg", "log/journal", "cache", "apt")
    found = {str(path.relative_to(server.root)) for one in top for path in one.rglob("*ogtorrent*")}
    return {path for path in found if not any(part in path for part in kept)}
