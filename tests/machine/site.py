"""The room of the machine: the repository that its administrator keeps, and the disk of the seat."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from rooms.disks import loop_device, mounted
from rooms.laboratory import Repository, Seat, write_random
from rooms.test_partclone import install

from benchmarks.room import Room

from .qemu import Machine

GROUP, CLIENT = "aula1", "pc-1"
NAME = "linux.img"
IMAGE = f"{GROUP}/{NAME}"
REPO = "/opt/opengnsys/repo"  # where the repository's machine has it, as it tells by NFS
MEBIBYTE = 2**20
SYSTEM = 128  # MiB of the partition that is imaged
# Type, name and MiB: GRUB's place for BIOS, the EFI system partition, the cache, and one to restore to.
PARTITIONS = (
    ("21686148-6449-6E6F-744E-656564454649", "BIOS", 1),
    ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ESP", 64),
    ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", "CACHE", 1400),
    ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", "TARGET", SYSTEM),
)
TARGET = "/dev/disk/by-partlabel/TARGET"
# A tree as it is told to people who compare: kind, mode, owners, names of one file, links, content.
DESCRIBE = (
    "(cd {} && find . -mindepth 1 ! -name lost+found -printf '%y %m %U:%G %n %P %l\\n' | LC_ALL=C sort"
    " && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)"
)


class Site:
    """The repository's machine, in the current layout, with a room, a client and what is laid over them."""

    def __init__(self, room: Room, folder: Path) -> None:
        self.room, self._folder = room, folder
        self.tree = folder / REPO.lstrip("/")
        self.repository = Repository(room.repository, self.tree)
        for name in ("groups", "clients", ".ogtorrent"):
            (self.tree / name).mkdir()
        machine = room.seats[0].address
        told = {"groups": [GROUP], "clients": [{"name": CLIENT, "group": GROUP, "ip": machine, "mac": ""}]}
        (self.tree / ".ogtorrent/inventory.json").write_text(json.dumps(told))

    def image_a_partition(self) -> str:
        """Take an image of a small system with partclone; what a seat is to be once it is restored."""
        image = self.tree / "images" / IMAGE
        image.parent.mkdir()
        layers = [self._laid(f"groups/{GROUP}"), self._laid(f"clients/{CLIENT}")]
        shutil.chown(layers[0] / "etc/hostname", 1234, 1235)
        (layers[0] / "etc/issue").write_text("A seat of the room.\n")
        (layers[0] / "etc/issue").chmod(0o640)
        with loop_device(self._folder / "model.disk", SYSTEM) as model:
            _run("mkfs.ext4", "-q", "-L", "LINUX", model)
            with mounted(model, self._folder / "model") as system:
                install(system)
                write_random(system / "usr/share/large", 64 * MEBIBYTE, seed=3)
            _run("partclone.ext4", "--clone", "-s", model, "-o", image, "-L", self._folder / "clone.log")
            with mounted(model, self._folder / "model") as system:
                for layer in layers:
                    _run("cp", "--archive", f"{layer}/.", system)
                return described(system)

    def _laid(self, layer: str) -> Path:
        place = self.tree / layer / IMAGE
        (place / "etc").mkdir(parents=True)
        (place / "etc/hostname").write_text(f"laid by {layer}\n")
        return place

    def fill_two_seats(self) -> None:
        """They stay as seeds."""
        updates = [
            Seat.make(host, self._folder).update(self.repository, IMAGE, "--session", "seeder:7200")
            for host in self.room.seats[1:]
        ]
        for update in updates:
            update.succeeds()


def seat_disk(disk: Path) -> None:
    """A disk with a cache partition; no system is on it, and nothing that boots."""
    with disk.open("xb") as file:
        file.truncate((sum(size for *_, size in PARTITIONS) + 2) * MEBIBYTE)
    table = [f"size={size}MiB, type={kind}, name={name}" for kind, name, size in PARTITIONS]
    _run("sfdisk", "--quiet", disk, said="\n".join(["label: gpt", *table, ""]))
    start, size, end = {}, {}, 1
    for _, name, mebibytes in PARTITIONS:
        start[name], size[name], end = end, mebibytes, end + mebibytes
    label = ["-q", "-t", "ext4", "-L", "CACHE", "-E", f"offset={start['CACHE'] * MEBIBYTE}"]
    _run("mke2fs", *label, disk, f"{size['CACHE']}M")
    # 512 bytes a sector, and so many of them as the partition has.
    _run("mformat", "-F", "-T", str(size["ESP"] * 2048), "-i", f"{disk}@@{start['ESP']}M", "::")


def restore(machine: Machine, cache: str) -> str:
    """Restore the image from the cache onto the other partition, with its overlays; what is there then."""
    machine.run(f"wipefs --all --force {TARGET}")
    image = f"{cache}{REPO}/images/{IMAGE}"
    machine.run(f"partclone.ext4 --restore -s {image} -o {TARGET} -L /tmp/partclone.log")
    machine.run(f"e2fsck -f -n {TARGET}")
    machine.run(f"mkdir -p /target && mount {TARGET} /target")
    machine.run(f"ogtorrent overlay apply /target --image {IMAGE}")
    found = machine.run(DESCRIBE.format("/target"))
    machine.run("cd /; umount /target")
    return found


def described(top: Path) -> str:
    """What `DESCRIBE` tells of a tree on this machine."""
    return _run("sh", "-c", DESCRIBE.format(top)).strip()


def _run(*argv: str | Path, said: str = "") -> str:
    # Some programs for disks are where only root's path leads.
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(
        list(map(str, argv)),
        env={**os.environ, "PATH": path},
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{argv[0]}: exit {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    )
    return done.stdout
