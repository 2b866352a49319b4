"""What the machine that runs the tests may lack: the kernel's NFS, SMB and ISO 9660, a drive, a stick."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from rooms.laboratory import MEBIBYTE, until, write_random
from rooms.test_removable import IMAGE, pressed

from benchmarks.room import Room

from . import qemu, servers
from .build import Live
from .conftest import PC, Record
from .site import REPO

pytestmark = [pytest.mark.room, pytest.mark.root]

MODULES = "/usr/lib/ogtorrent"


def test_the_contract_of_mounts_is_kept_by_a_real_kernel(live: Live, record: Record) -> None:
    with PC(live, record).from_network(None) as machine:
        machine.run("dmesg --console-off")  # the kernel would speak in the middle of pytest's lines
        machine.run(f"cd {MODULES} && export PYTHONPATH=/ogtorrent/pytest COLUMNS=100")
        options = "-v -p no:cacheprovider -W ignore --basetemp=/tmp/suite -k '[nfs] or [smb]'"
        said = machine.run(f"python3 -m pytest {options} tests/mounts/test_mount.py", seconds=1200)
    passed = re.findall(r"::(test_\w+)\[(nfs|smb)\] PASSED", said)
    by_protocol = {protocol: {name for name, by in passed if by == protocol} for protocol in ("nfs", "smb")}
    assert by_protocol["nfs"] == by_protocol["smb"] and len(by_protocol["nfs"]) > 5, said
    assert "skipped" not in said.splitlines()[-1], said


def test_a_repository_that_is_mounted_is_published(live: Live, record: Record, tmp_path: Path) -> None:
    """Though NFS 4 refuses a lease with the error that otherwise means that somebody writes."""
    tree = tmp_path / REPO.lstrip("/")
    write_random(tree / "images" / "linux.img", 3 * MEBIBYTE, seed=1)
    for layer in ("groups", "clients"):
        (tree / layer).mkdir()
    with Room(seats=1) as room:
        servers.nfs(room.repository, tree, REPO, tmp_path / "nfs")
        qemu.plug(room.seats[0])
        with PC(live, record).from_network(room.seats[0]) as machine:
            machine.run(f"ogtorrent mount repo {room.repository.address} --root {REPO} --write")
            lease = (
                f"import fcntl; fcntl.fcntl(open('{REPO}/images/linux.img'), fcntl.F_SETLEASE, fcntl.F_RDLCK)"
            )
            refused = machine.run(f'python3 -c "{lease}"', code=1)
            assert "BlockingIOError" in refused, refused
            machine.run(f"ogtorrent serve {REPO} > /tmp/serve.log 2>&1 & server=$!")
            try:
                until((tree / "images" / "linux.img.torrent").exists, "the image is published")
            finally:
                machine.run("kill $server; wait $server; cat /tmp/serve.log")
            machine.run(f"ogtorrent umount {REPO}")


def test_a_dvd_and_a_stick_are_found_mounted_and_fed_from(live: Live, record: Record, tmp_path: Path) -> None:
    tree, digest = pressed(tmp_path)
    dvd, stick = tmp_path / "dvd.iso", tmp_path / "stick.disk"
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "IMAGES", "-o", dvd, tree]
    subprocess.run(make, check=True, capture_output=True)
    subprocess.run(["mkfs.ext4", "-q", "-L", "CACHE", "-d", tree, stick, "64M"], check=True)
    with PC(live, record).from_network(None, dvd, stick) as machine:
        told = machine.run("ogtorrent mount storage")
        assert "is mounted at /mnt/DVD-IMAGES, to be read" in told
        assert "is mounted at /mnt/USB-CACHE, to be read" in told
        variables = machine.run('eval "$(ogtorrent env)"; echo "$DVD $USB ${CACHE-none}"')
        assert variables == "/mnt/DVD-IMAGES /mnt/USB-CACHE none"
        assert "no partition" in machine.run("ogtorrent mount cache", code=15)  # a stick is no cache
        group, name = IMAGE.split("/")
        for disk in ("dvd", "usb"):
            cache = f"--cache /tmp/{disk}"
            own = f"{cache} --address 127.0.0.1"
            machine.run(f"mkdir /tmp/{disk}; ogtorrent update-cache --from {disk} {group} {name} {own}")
            assert machine.run(f"sha256sum < /tmp/{disk}/images/{IMAGE}").split()[0] == digest
            machine.run(f"ogtorrent cache stop {cache}")
            assert "no more" in machine.run(f"ogtorrent umount $(ls -d /mnt/{disk.upper()}-*)")
