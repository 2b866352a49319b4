"""`mount cache` and `mount storage`, on real devices, by a PC that has `/mnt` and `/opt` to itself."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from machines import HERE, NETWORK, environment, image, published, until
from rooms.disks import cache_device, loop_device

from ogtorrent.mounts.blocks import Block, fixed, parse
from ogtorrent.mounts.blocks import removable as removable_devices
from ogtorrent.mounts.cache import among

NO_DISK, CACHE_FAILED, NO_CACHE, GONE = 3, 21, 15, 23
Devices = Callable[..., Path]


def test_blkid_is_understood() -> None:
    told = (
        "DEVNAME=/dev/sda4\nLABEL=LA\\ CACHE\nUUID=1-2\nTYPE=ext4\nUSAGE=filesystem\n"
        "PART_ENTRY_SCHEME=gpt\nPART_ENTRY_NAME=CACHE\nPART_ENTRY_TYPE=0fc6\n\n"
        "DEVNAME=/dev/sda3\nPART_ENTRY_TYPE=0xca\n\nblkid: nonsense\n"
    )
    assert list(parse(told)) == [
        Block(Path("/dev/sda4"), "LA CACHE", "1-2", "ext4", True, "CACHE", "0fc6"),
        Block(Path("/dev/sda3"), part_type="0xca"),
    ]


def test_the_cache_is_found_by_its_label_then_the_partitions_name_then_its_type() -> None:
    other = Block(Path("/dev/sda1"), label="DATA")
    typed = Block(Path("/dev/sda2"), part_type="0xca")
    old = Block(Path("/dev/sda3"), part_type="0xa7")
    named = Block(Path("/dev/nvme0n1p4"), part_label="CACHE")
    labelled = Block(Path("/dev/sdb1"), label="CACHE")
    assert among([other, typed, named, labelled]) == [labelled]
    assert among([other, typed, named]) == [named]
    assert among([other, typed, old]) == [typed, old]
    assert among([other]) == []


def test_what_can_be_pulled_out_is_told_by_sys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the tree of a PC that has a disk, a USB disk, a card, an empty drive and a DVD."""
    blocks, nodes = tmp_path / "block", tmp_path / "dev"
    blocks.mkdir()
    nodes.mkdir()
    for path, removable, size in (
        ("pci/ata1/sda", 0, 100),
        ("pci/ata1/sda/sda1", None, 50),
        ("pci/usb1/1-2/sdb", 0, 100),  # a case with a disk in it
        ("pci/usb1/1-2/sdb/sdb1", None, 50),
        ("pci/mmc0/mmcblk0", 1, 100),
        ("pci/mmc0/mmcblk0/mmcblk0p1", None, 50),
        ("pci/mmc1/mmcblk1", 0, 100),  # in a slot of which the kernel does not say so
        ("pci/mmc1/mmcblk2", 0, 100),  # soldered in
        ("pci/ata2/sr0", 1, 0),
        ("pci/ata3/sr1", 1, 100),
        ("virtual/loop0", 0, 100),
        ("virtual/dm-0", 0, 100),  # LVM makes volumes of a stick, too
        ("virtual/dm-1", 0, 100),
    ):
        device = tmp_path / "devices" / path
        device.mkdir(parents=True)
        (device / "size").write_text(f"{size}\n")
        (device / ("partition" if removable is None else "removable")).write_text(f"{removable or 0}\n")
        if path.startswith("pci/mmc1"):
            (device / "device").mkdir()
            (device / "device" / "type").write_text("SD\n" if device.name == "mmcblk1" else "MMC\n")
        if path.startswith("virtual/dm"):
            (device / "slaves" / ("sdb1" if device.name == "dm-0" else "sda1")).mkdir(parents=True)
        (blocks / device.name).symlink_to(device)
        (nodes / device.name).symlink_to("/dev/loop0")  # a node of a block device
    monkeypatch.setattr("ogtorrent.mounts.blocks.BLOCKS", blocks)
    monkeypatch.setattr("ogtorrent.mounts.blocks.DEVICES", nodes)
    pulled = ["dm-0", "mmcblk0", "mmcblk0p1", "mmcblk1", "sdb", "sdb1", "sr1"]
    assert [node.name for node in removable_devices()] == pulled
    # The cache is looked for on these: a stick that has its label is not taken for it.
    assert [node.name for node in fixed()] == ["dm-1", "loop0", "mmcblk2", "sda", "sda1"]


class PC:
    """What runs in a namespace of mounts of its own, over an empty `/mnt` and `/opt`."""

    def __init__(self) -> None:
        script = "mount -t tmpfs none /mnt; mount -t tmpfs none /opt; echo; exec sleep 600"
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None and self.process.stdout.readline()
        self._inside = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt"]

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A program, there."""
        command = [*self._inside, *map(str, arguments)]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)

    def ogtorrent(self, *arguments: object, code: int = 0) -> str:
        """A command, which is to end with that code, and what it said."""
        ran = self.run(sys.executable, "-m", "ogtorrent", *arguments)
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr and "unforeseen" not in ran.stderr
        return ran.stdout + ran.stderr

    def popen(self, *arguments: object) -> subprocess.Popen[str]:
        command = [*self._inside, sys.executable, "-m", "ogtorrent", *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True)

    def list(self, place: str) -> set[str]:
        return set(self.run("ls", "-A", place).stdout.split())


@pytest.fixture
def pc() -> Iterator[PC]:
    made = PC()
    yield made
    made.process.kill()  # its mounts go with it
    made.process.wait()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Devices]:
    """A block device, formatted by the program that is given."""
    with ExitStack() as stack:

        def make(*mkfs: str) -> Path:
            name = f"disk-{secrets.token_hex(4)}"
            made = stack.enter_context(loop_device(tmp_path / name, 24))
            if mkfs:
                subprocess.run([*mkfs, str(made)], check=True, capture_output=True)
            return made

        yield make


def ext4(label: str) -> tuple[str, ...]:
    return ("mkfs.ext4", "-q", "-L", label)


real = [pytest.mark.room, pytest.mark.root]


class TestStorage:
    pytestmark = real

    def test_a_disk_is_mounted_once_under_its_label_and_nothing_of_it_can_run(
        self, pc: PC, device: Devices
    ) -> None:
        disk = device(*ext4("MI DISCO"))
        at = Path("/mnt/USB-MI_DISCO")
        assert f"{disk} is mounted at {at}, to be read" in pc.ogtorrent("mount", "storage", disk)
        assert f"{disk} is mounted at {at} already" in pc.ogtorrent("mount", "storage", disk)
        options = pc.run("findmnt", "-no", "OPTIONS", at).stdout
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(options.strip().split(","))
        assert f"export USB={at}" in pc.ogtorrent("env")
        assert "no more" in pc.ogtorrent("umount", at.name)
        assert pc.list("/mnt") == set()

    def test_it_is_written_where_that_is_wanted_and_the_medium_can_be(
        self, pc: PC, device: Devices, tmp_path: Path
    ) -> None:
        pc.ogtorrent("mount", "storage", device(*ext4("RW")), "--write")
        assert pc.run("touch", "/mnt/USB-RW/here").returncode == 0
        (tmp_path / "files").mkdir()
        pressed = tmp_path / "pressed"
        subprocess.run(["mksquashfs", tmp_path / "files", pressed, "-quiet"], check=True, capture_output=True)
        disk = device()
        subprocess.run(["dd", f"if={pressed}", f"of={disk}", "conv=notrunc", "status=none"], check=True)
        told = pc.ogtorrent("mount", "storage", disk, "--write")
        assert f"/mnt/USB-{disk.name}, to be read" in told

    def test_two_disks_of_one_label_stand_beside_each_other(self, pc: PC, device: Devices) -> None:
        one, other = device(*ext4("SAME")), device(*ext4("SAME"))
        pc.ogtorrent("mount", "storage", one)
        pc.ogtorrent("mount", "storage", other)
        uuid = subprocess.run(
            ["blkid", "-p", "-s", "UUID", "-o", "value", other], capture_output=True, text=True
        ).stdout.strip()
        assert pc.list("/mnt") == {"USB-SAME", f"USB-{uuid}"}

    def test_what_cannot_be_mounted_is_told_and_leaves_nothing(self, pc: PC, device: Devices) -> None:
        empty, damaged = device(), device(*ext4("BAD"))
        subprocess.run(["debugfs", "-w", "-R", "ssv inodes_count 7", damaged], capture_output=True)
        assert "no file system" in pc.ogtorrent("mount", "storage", empty, code=NO_DISK)
        assert "damaged" in pc.ogtorrent("mount", "storage", damaged, code=NO_DISK)
        assert "no block device" in pc.ogtorrent("mount", "storage", "/dev/null", code=NO_DISK)
        assert "no block device" in pc.ogtorrent("mount", "storage", "/dev/gone", code=NO_DISK)
        swap = device("mkswap")
        assert "swap" in pc.ogtorrent("mount", "storage", swap, code=NO_DISK)
        assert pc.list("/mnt") == set()

    def test_the_only_one_is_usb_and_feeds_a_room_without_being_written(
        self, pc: PC, device: Devices, tmp_path: Path
    ) -> None:
        images, cache = tmp_path / "tree" / "opt" / "opengnsys" / "images", tmp_path / "cache"
        published(images / "aula1" / "windows.img", images, 2**20)
        cache.mkdir()
        assert "USB-none is no directory" in pc.ogtorrent("cache", "seed", "--from", "USB-none", code=NO_DISK)
        disk = device(*ext4("FEED"), "-d", str(tmp_path / "tree"))
        pc.ogtorrent("mount", "storage", disk)
        given = ["aula1", "windows.img", "--cache", cache, "--address", f"{NETWORK}.200"]
        try:
            told = pc.ogtorrent("update-cache", "--from", "usb", *given)
            assert f"update-cache {NETWORK}.200" in told
            place = cache / "opt" / "opengnsys" / "images" / "aula1" / "windows.img"
            assert place.read_bytes() == (images / "aula1" / "windows.img").read_bytes()
            # Who feeds from it does not keep it from being unmounted.
            until(lambda: pc.run(sys.executable, "-m", "ogtorrent", "umount", "USB-FEED").returncode == 0)
        finally:
            pc.ogtorrent("cache", "stop", "--cache", cache)

    def test_a_tree_that_is_read_only_is_served_as_it_stands(
        self, pc: PC, device: Devices, tmp_path: Path
    ) -> None:
        images = tmp_path / "tree" / "images"
        published(images / "windows.img", images, 2**20)
        image(images / "bare.img", 1000)
        disk = device(*ext4("SERVE"), "-d", str(tmp_path / "tree"))
        pc.ogtorrent("mount", "storage", disk)
        served = pc.popen("serve", "/mnt/USB-SERVE", "--listen", "127.0.0.1:0", "--peer-port", "0")
        try:
            assert served.stdout is not None
            lines = iter(served.stdout.readline, "")
            assert "read-only: it is served as it stands" in next(lines) + next(lines)
            announce = next(line for line in lines if line.startswith("announce "))
            with urllib.request.urlopen(announce.split()[1].removesuffix("announce") + "catalogue") as answer:
                entries = {one["image"]: one for one in json.load(answer)["images"]}
            assert entries["windows.img"]["state"] == "ready"
            assert (entries["bare.img"]["state"], entries["bare.img"]["why"]) == (
                "refused",
                "it has no .torrent",
            )
            pc.run("umount", "--lazy", "/mnt/USB-SERVE")
            assert served.wait(30) == GONE
        finally:
            served.kill()
            served.wait()

    @pytest.mark.parametrize("below", ["", "opt/opengnsys"])
    def test_a_tree_that_is_a_link_to_another_disk_is_not_served(
        self, pc: PC, device: Devices, tmp_path: Path, below: str
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "tree" / below).mkdir(parents=True)
        (tmp_path / "tree" / below / "images").symlink_to(tmp_path / "elsewhere")
        pc.ogtorrent("mount", "storage", device(*ext4("LINK"), "-d", str(tmp_path / "tree")))
        command = [sys.executable, "-m", "ogtorrent", "serve", f"/mnt/USB-LINK/{below}"]
        served = pc.run("timeout", "10", *command, "--listen", "127.0.0.1:0", "--peer-port", "0")
        assert (served.returncode, "leads out of the disk" in served.stderr) == (NO_DISK, True), served

    def test_where_a_link_leads_nothing_is_mounted(self, pc: PC, device: Devices) -> None:
        disk = device(*ext4("LINKED"))
        pc.run("mkdir", "/mnt/real")
        pc.run("ln", "-s", "/mnt/real", "/mnt/USB-LINKED")
        told = pc.ogtorrent("mount", "storage", disk, code=NO_DISK)
        assert "/mnt/USB-LINKED leads to /mnt/real" in told
        assert pc.list("/mnt/real") == set()

    def test_a_folder_that_was_made_for_something_else_stays(self, pc: PC, device: Devices) -> None:
        pc.run("mkdir", "/mnt/data")
        pc.run("mount", device(*ext4("DATA")), "/mnt/data")
        assert "no more" in pc.ogtorrent("umount", "/mnt/data")
        assert pc.list("/mnt") == {"data"}

    def test_a_disk_does_not_say_what_the_kernel_does_about_its_errors(self, pc: PC, device: Devices) -> None:
        disk = device(*ext4("PANIC"))
        subprocess.run(["tune2fs", "-e", "panic", disk], check=True, capture_output=True)
        pc.ogtorrent("mount", "storage", disk)
        options = pc.run("findmnt", "-no", "OPTIONS", "/mnt/USB-PANIC").stdout.strip().split(",")
        assert "errors=remount-ro" in options

    @pytest.mark.parametrize(("at", "stays"), [("/mnt/mine", True), ("/mnt/USB-OURS", False)])
    def test_the_unit_unmounts_what_it_mounted_and_nothing_else(
        self, pc: PC, device: Devices, tmp_path: Path, at: str, stays: bool
    ) -> None:
        disk = device(*ext4("OURS"))
        pc.run("mkdir", at)
        pc.run("mount", disk, at)
        unit = (HERE / "packaging" / "ogtorrent-disk@.service").read_text().replace("\\\n", "")
        line = next(line for line in unit.splitlines() if line.startswith("ExecStopPost="))
        command = line.removeprefix("ExecStopPost=+-").replace("%I", disk.name).replace("$$", "$")
        (tmp_path / "ogtorrent").write_text(f'#!/bin/sh\nexec {sys.executable} -m ogtorrent "$@"\n')
        (tmp_path / "ogtorrent").chmod(0o755)
        ran = pc.run("env", f"PATH={tmp_path}:{os.environ['PATH']}", *shlex.split(command))
        assert (pc.run("mountpoint", "-q", at).returncode == 0) is stays, ran.stdout + ran.stderr


class TestCache:
    pytestmark = real

    def test_it_is_mounted_under_all_its_names_once(self, pc: PC, tmp_path: Path) -> None:
        with cache_device(tmp_path, 24) as disk:
            at = Path("/mnt", disk.name)
            told = pc.ogtorrent("mount", "cache")
            assert f"CACHE: {disk} is mounted at {at}, to be read and written" in told
            assert "also as /opt/opengnsys/cache" in told
            pc.run("touch", at / "here")
            assert pc.list("/opt/opengnsys/cache/") >= {"here"}
            addresses = pc.list("/mnt") - {disk.name}
            assert all("here" in pc.list(f"/mnt/{address}/") for address in addresses)
            assert "already" in pc.ogtorrent("mount", "cache")
            assert f"export CACHE={at}" in pc.ogtorrent("env")
            pc.ogtorrent("cache", "list")
            assert "no more" in pc.ogtorrent("umount", "CACHE")
            assert disk.name not in pc.list("/mnt")
            assert "nothing is mounted at CACHE" in pc.ogtorrent("umount", "CACHE")

    def test_where_its_owner_mounted_it_it_stays(self, pc: PC, tmp_path: Path) -> None:
        with cache_device(tmp_path, 24) as disk:
            pc.run("mkdir", "/mnt/mine", "/opt/opengnsys", "/opt/opengnsys/cache")
            pc.run("mount", disk, "/mnt/mine")
            told = pc.ogtorrent("mount", "cache")
            assert "at /mnt/mine already" in told
            assert "/opt/opengnsys/cache" not in told  # a directory of somebody else

    def test_several_are_told_not_guessed(self, pc: PC, tmp_path: Path, device: Devices) -> None:
        with cache_device(tmp_path, 24) as disk:
            other = device(*ext4("CACHE"))
            told = pc.ogtorrent("mount", "cache", code=CACHE_FAILED)
            assert str(disk) in told and str(other) in told
            assert str(other) in pc.ogtorrent("cache", "list", code=NO_CACHE)
            subprocess.run(["wipefs", "--quiet", "--all", other], check=True)

    def test_a_file_system_that_cannot_be_a_caches_is_told(self, pc: PC, tmp_path: Path) -> None:
        with cache_device(tmp_path, 24) as disk:
            subprocess.run(["wipefs", "--quiet", "--all", disk], check=True)
            subprocess.run(["mkntfs", "-QFq", "-L", "CACHE", disk], check=True, capture_output=True)
            told = pc.ogtorrent("mount", "cache", code=CACHE_FAILED)
            assert "file system ntfs" in told and f"mkfs.ext4 -L CACHE {disk}" in told
            subprocess.run(["wipefs", "--quiet", "--all", disk], check=True)
            assert "no partition has the label" in pc.ogtorrent("mount", "cache", code=NO_CACHE)
        assert pc.list("/mnt") == set()

    def test_a_partition_without_a_label_is_known_by_its_type(self, pc: PC, tmp_path: Path) -> None:
        with cache_device(tmp_path, 24) as whole:
            subprocess.run(["wipefs", "--quiet", "--all", whole], check=True)
            subprocess.run(["sfdisk", "-q", whole], input=b"label: dos\n,,ca\n", check=True)
            subprocess.run(["partx", "--update", whole], check=True)
            part = Path(f"{whole}p1")
            numbers = Path(f"/sys/class/block/{part.name}/dev").read_text().strip().split(":")
            made = not part.exists()
            if made:  # no udev here
                os.mknod(part, 0o60600, os.makedev(*map(int, numbers)))
            try:
                subprocess.run(["mkfs.ext4", "-q", part], check=True)
                assert f"{part} is mounted" in pc.ogtorrent("mount", "cache")
                pc.ogtorrent("umount", "CACHE")
            finally:
                pc.run("umount", f"/mnt/{part.name}")
                subprocess.run(["wipefs", "--quiet", "--all", part], check=False)
                if made:
                    part.unlink()
                subprocess.run(["partx", "--delete", whole], check=False)


@pytest.mark.room
@pytest.mark.root
@pytest.mark.parametrize(
    ("also", "complains"), [("", False), ('NO_KEY=="x"\n', True)], ids=["ours", "broken"]
)
def test_udev_reads_the_rule(pc: PC, tmp_path: Path, also: str, complains: bool) -> None:
    rule = tmp_path / "90-ogtorrent.rules"
    rule.write_text((HERE / "packaging" / rule.name).read_text() + also)
    script = f"mount -t tmpfs none /run && mkdir -p /run/udev/rules.d && cp {rule} /run/udev/rules.d/"
    read = pc.run("unshare", "--mount", "sh", "-c", f"{script} && udevadm test --action=add /sys/block/loop0")
    assert f"/run/udev/rules.d/{rule.name}" in read.stderr
    assert (f"{rule.name}:" in read.stderr) is complains, read.stderr
