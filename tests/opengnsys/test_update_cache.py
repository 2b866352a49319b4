"""The updateCache that was installed, called as OpenGnsys's console and scripts call it.

Each test is a PC of its own: a network with loopback alone, mounts, processes that end with it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from machines import DEADLINE, HERE, ogtorrent, published

from ogtorrent.mounts.table import parse
from ogtorrent.opengnsys.seat import Seat

pytestmark = [pytest.mark.root, pytest.mark.room]

SIZE = 3_000_000
# The repository of the PC's server runs beside it.
SERVER = """
export PYTHONPATH={here}
{python} -m ogtorrent serve {images} --peer-port 7000 --single-file 2>$folder/serve.log >$folder/served &
until grep -q '^announce' $folder/served; do sleep 0.05; done
"""


class Machine:
    """A PC of OpenGnsys, with the environment that its `loadenviron.sh` makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opengnsys = folder / "client" / "opengnsys"
        for name in ("images", "cache", "etc", "bin"):
            (self.opengnsys / name).mkdir(parents=True)
        self.images = folder / "server" / "opengnsys" / "images"
        self.images.mkdir(parents=True)
        self.session, self.command, self.log = (
            folder / f"{name}.log" for name in ("session", "command", "pc")
        )
        original = folder / "server" / "opengnsys" / "client" / "scripts" / "updateCache"
        original.parent.mkdir(parents=True)
        original.write_text('#!/bin/bash\necho "OpenGnsys: $*"\nexit 99\n')
        original.chmod(0o755)
        installed = ogtorrent("opengnsys", "install", "--prefix", folder / "server" / "opengnsys")
        assert installed.returncode == 0, installed.stderr
        (self.opengnsys / "scripts").symlink_to(original.parent)
        program = self.opengnsys / "bin" / "ogtorrent"
        program.write_text(f'#!/bin/sh\nexec env PYTHONPATH={HERE} {sys.executable} -m ogtorrent "$@"\n')
        program.chmod(0o755)

    @property
    def cached(self) -> Path:
        return self.opengnsys / "cache" / "opt" / "opengnsys" / "images"

    def run(self, script: str, *, serves: bool = False, cache: str = "tmpfs", **environment: str) -> str:
        """Run a script here; each `updateCache` of it shows its exit code. `cache`: what is mounted as it."""
        opening = [
            "ip link set lo up",
            f"folder={self.folder}",
            *([f"mount -t {cache} none {self.opengnsys}/cache"] if cache else []),
            f"mount -t tmpfs //127.0.0.1/ogimages {self.opengnsys}/images",
        ]
        if serves:
            opening.append(SERVER.format(here=HERE, python=sys.executable, images=self.images))
        told = {
            "OPENGNSYS": str(self.opengnsys),
            "OGLOGSESSION": str(self.session),
            "OGLOGCOMMAND": str(self.command),
            "OGLOGFILE": str(self.log),
            "PATH": f"{self.opengnsys}/scripts:/usr/sbin:/usr/bin:/sbin:/bin:{self.opengnsys}/bin",
            "LC_ALL": "C.UTF-8",
            **environment,
        }
        alone = ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        called = subprocess.run(
            [*alone, "--mount-proc", "bash", "-c", "\n".join([*opening, script])],
            cwd="/",
            env=told,
            capture_output=True,
            text=True,
            timeout=4 * DEADLINE,
        )
        assert "Traceback" not in called.stderr
        return called.stdout + called.stderr


@pytest.fixture
def pc(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def update(*arguments: str) -> str:
    return f"updateCache {shlex.join(arguments)}; echo code $?"


def codes(said: str) -> list[int]:
    return [int(line.removeprefix("code ")) for line in said.splitlines() if line.startswith("code ")]


def test_an_image_comes_and_the_console_sees_how(pc: Machine) -> None:
    published(pc.images / NAME, pc.images, SIZE)
    deploy = pc.folder / "deployImage"
    deploy.write_text(f"#!/bin/bash\necho '[1] deploys' > $OGLOGSESSION\n{update('127.0.0.1', *CALL)}\n")
    deploy.chmod(0o755)
    kept = f"cp {pc.session} {pc.folder}/first; cmp {pc.cached}/{NAME} {pc.images}/{NAME} && echo whole"
    sums = f"cmp {pc.cached}/{NAME}.full.sum {pc.images}/{NAME}.full.sum && echo sums"
    said = pc.run("\n".join([update("REPO", *CALL), kept, sums, str(deploy)]), serves=True)

    assert codes(said) == [0, 0], said
    assert {"whole", "sums"} <= set(said.splitlines())
    first = (pc.folder / "first").read_text().splitlines()
    assert first[0] == f"[1] begins: updateCache REPO {' '.join(CALL)}"
    assert first[1] == "REPO 127.0.0.1 TORRENT peer:60"
    assert first[2].startswith(f"[10] {NAME}: ")
    assert "whole after" in first[3]
    assert first[-1].startswith("   [ ] time of the part updateCache 0m ")
    # What deployImage has begun goes on; what it called is what is shown as the command.
    second = pc.session.read_text().splitlines()
    assert second[0] == "[1] deploys"
    assert second[1] == "REPO 127.0.0.1 TORRENT peer:60"
    assert "nothing to fetch" in pc.command.read_text()
    assert pc.log.read_text().splitlines() == [*first, *second[1:]]


def test_what_an_old_seat_has_is_taken_over(pc: Machine) -> None:
    """Whole, and then half: ctorrent has it in its full length, with its records beside it."""
    published(pc.images / NAME, pc.images, SIZE)
    place = pc.cached / NAME
    copies = f"mkdir -p {place.parent}; cp {pc.images}/{NAME}* {place.parent}; cat {place}.full.sum"
    half = f"head -c {SIZE // 2} {pc.images}/{NAME} > {place}; truncate -s {SIZE} {place}"
    script = [
        copies,
        update("REPO", *CALL),
        f"cat {pc.session}",
        f"ogtorrent cache remove {NAME} --cache {pc.opengnsys}/cache",
        f"{copies}; {half}; touch {place}.torrent.bf {place}.torrent.bfog",
        # ogGetPath finds it, too, however its capitals are written.
        update("REPO", "/AULA1/Windows.IMG", "torrent", "PEER:60"),
        f"cmp {place} {pc.images}/{NAME} && echo whole; ls {place.parent}",
    ]
    said = pc.run("\n".join(script), serves=True)
    assert codes(said) == [0, 0], said
    assert "nothing to fetch" in said
    assert "whole" in said.splitlines()
    assert ".bf" not in said.rpartition("whole\n")[2]


def test_another_form_of_the_metainfo_moves_no_byte(pc: Machine) -> None:
    """Into a cache that has no room for a second copy, and keeps none."""
    published(pc.images / NAME, pc.images, 30 * 2**20)
    shutil.copytree(pc.images, pc.folder / "before")
    place = pc.cached / NAME
    script = [
        f"mkdir -p {place.parent}; cp -a {pc.folder}/before/{NAME}* {place.parent}",
        f"stat -c 'inode %i' {place}",
        f"cmp {place}.torrent {pc.images}/{NAME}.torrent >/dev/null || echo another",
        update("REPO", *CALL),
        f"cmp {place}.torrent {pc.images}/{NAME}.torrent && echo the same",
        f"stat -c 'inode %i' {place}; ls -A {place.parent}",
    ]
    said = pc.run("\n".join(script), serves=True, cache="tmpfs -o size=50m")
    lines = said.splitlines()
    assert codes(said) == [0], said
    assert {"another", "the same"} <= set(lines), said
    assert len({line for line in lines if line.startswith("inode ")}) == 1
    assert ".previous" not in lines


def test_a_synchronised_directory_is_left_to_opengnsys(pc: Machine) -> None:
    """Owners, links and attributes of a system's files are rsync's."""
    said = pc.run(f"mkdir {pc.opengnsys}/images/linux.img; {update('REPO', '/linux.img', *CALL[1:])}")
    assert codes(said) == [99]
    assert "OpenGnsys: REPO /linux.img torrent peer:60" in said


NAME = "aula1/windows.img"
CALL = (f"/{NAME}", "torrent", "peer:60")


def test_a_full_cache_does_what_engine_cfg_says(pc: Machine) -> None:
    for name in ("one.img", "two.img"):
        published(pc.images / name, pc.images, 30 * 2**20, seed=ord(name[0]))
    engine = pc.opengnsys / "etc" / "engine.cfg"
    asks = [update("REPO", f"/{name}", "UNICAST") for name in ("one.img", "two.img")]
    script = [
        *asks,
        f"echo 'ACTIONCACHEFULL=DELETE' > {engine}",
        # Whoever has read it already has what he has read.
        f"OGENGINECONFIGURATE=TRUE ACTIONCACHEFULL=NONE {asks[1]}",
        asks[1],
        f"ls {pc.cached}",
    ]
    engine.write_text("set -a\nACTIONCACHEFULL=NONE  # until now\n")
    said = pc.run("\n".join(script), serves=True, cache="tmpfs -o size=50m")
    assert codes(said) == [0, 16, 16, 0], said
    assert "one.img" not in said.rpartition("code 0")[2]
    assert "two.img" in said.rpartition("code 0")[2]


def test_what_cannot_be_has_opengnsys_own_codes_and_words(pc: Machine) -> None:
    refused = {
        update(): 1,
        update("REPO", "/a.img"): 1,
        update("REPO", "/../a.img", "TORRENT"): 1,
        update("REPO", "/a.img", "TORRENT", "often:60"): 1,
        update("CACHE", "/a.img", "TORRENT", "peer:60"): 31,
        update("REPO", "/a.img", "CARRIER-PIGEON"): 31,
        update("REPO", "/a.img", "MULTICAST", "9001:full-duplex:239.194.17.36:70M:50:60"): 55,
        update("REPO", "/a.img", "TORRENT", "peer:60"): 2,
        update("10.1.2.3", "/a.img", "TORRENT"): 23,
        update("REPO", "/a.img", "RSYNC"): 99,
        f"ogunit=cdc {update('REPO', '/a.img', 'TORRENT', 'peer:60')}": 99,
        f"umount {pc.opengnsys}/images; {update('REPO', '/a.img', 'TORRENT')}": 23,
        f"umount --lazy {pc.opengnsys}/cache; {update('127.0.0.1', '/a.img', 'TORRENT')}": 15,
    }
    said = pc.run("\n".join(refused), MSG_ERR_NOTCACHE="No existe partición caché", MSG_FORMAT="Formato")
    assert codes(said) == list(refused.values()), said
    assert "OpenGnsys: REPO /a.img RSYNC" in said
    assert "Formato: updateCache REPO|IP" in said
    last = pc.session.read_text().splitlines()[-1]
    assert "updateCache: No existe partición caché" in last
    assert last == pc.log.read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("device", "server"),
    [
        ("//10.1.1.1/ogimages", "10.1.1.1"),
        ("10.1.1.1:/opt/opengnsys/images", "10.1.1.1"),
        ("[fd00::1]:/opt", "fd00::1"),
    ],
)
def test_the_repository_is_whose_images_are_mounted(device: str, server: str) -> None:
    mounts = "36 35 0:33 / /og/images rw,relatime - {kind} {device} rw,vers=3\n"
    below = "35 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + mounts.format(kind="cifs", device="//10.9.9.9/old")
    table = parse(below + mounts.format(kind="nfs4", device=device))
    seat = Seat.of({"OGIMG": "/og/images"}, table)
    assert seat.repository == server
