"""A cache on a real disk boots by itself: what is written, what is refused, and what a kill leaves."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from machines import published, until
from rooms.disks import LABEL, the_label

Command = Callable[..., tuple[int, str, str]]

GPT = """label: gpt
size=1M, type=21686148-6449-6E6F-744E-656564454649
size=8M, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=CACHE
"""
DOS = """label: dos
size=8M, type=ef
type=83
"""
WINDOWS = b"\x33\xc0\x8e\xd0" + b"\0" * 300 + b"Missing operating system\0" + b"\0" * 111
KERNEL = bytes(0x202) + b"HdrS"
MTOOLS = {"MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1"}
pytestmark = [pytest.mark.root, pytest.mark.room]


@dataclass(frozen=True)
class Disk:
    device: Path
    esp: Path | None
    cache: Path

    @property
    def code(self) -> bytes:
        with self.device.open("rb") as file:
            return file.read(440)

    def write_code(self, code: bytes) -> None:
        with self.device.open("r+b") as file:
            file.write(code.ljust(440, b"\0"))

    @property
    def home(self) -> Path:
        return self.cache / ".ogtorrent" / "offline"

    @property
    def menu(self) -> str:
        return (self.home / "grub.cfg").read_text()

    def in_esp(self, name: str) -> bytes:
        argv = ["mcopy", "-n", "-i", str(self.esp), f"::/EFI/BOOT/{name}", "-"]
        return subprocess.run(argv, check=True, capture_output=True, env=os.environ | MTOOLS).stdout

    def put_in_esp(self, name: str, content: bytes) -> None:
        for argv in (["mmd", "::/EFI", "::/EFI/BOOT"], ["mcopy", "-", f"::/EFI/BOOT/{name}"]):
            argv[1:1] = ["-i", str(self.esp)]
            ran = subprocess.run(argv, input=content, env=os.environ | MTOOLS, capture_output=True)
            assert ran.returncode == 0 or argv[0] == "mmd"  # which stands already


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Disk]]:
    """Make a disk with a cache of one image on its last partition, an ESP on the one before."""
    undo: list[list[str]] = []
    taking_turns = ExitStack()

    def make(
        table: str = GPT, size: str = "64M", esp: bool = True, mkfs: tuple[str, ...] = ("mkfs.ext4", "-q")
    ) -> Disk:
        taking_turns.enter_context(the_label())
        file, cache = tmp_path / "disk", tmp_path / "CACHE"
        subprocess.run(["truncate", "-s", size, file], check=True)
        subprocess.run(["sfdisk", "-q", file], input=table.encode(), check=True)
        ran = subprocess.run(
            ["losetup", "-f", "-P", "--show", file], capture_output=True, text=True, check=True
        )
        device = ran.stdout.strip()
        undo.append(["losetup", "-d", device])
        subprocess.run(["partx", "-u", device], check=True)  # some kernels do not read tables themselves
        undo.append(["partx", "-d", device])
        count = table.count("type=")
        subprocess.run([*mkfs, "-L", LABEL, f"{device}p{count}"], check=True)
        undo.append(["wipefs", "--quiet", "--force", "--all", f"{device}p{count}"])
        if esp:
            subprocess.run(["mkfs.vfat", f"{device}p{count - 1}"], check=True, stdout=subprocess.DEVNULL)
        cache.mkdir()
        subprocess.run(["mount", f"{device}p{count}", cache], check=True)
        undo.append(["umount", str(cache)])
        root = cache / "opt/opengnsys/repo/images"
        published(root / "aula1" / "windows.img", root, 2**20)
        return Disk(Path(device), Path(f"{device}p{count - 1}") if esp else None, cache)

    with taking_turns:
        yield make
        gc.collect()
        for argv in reversed(undo):  # a process of another test may have a copy of our mounts for a moment
            until(lambda argv=argv: subprocess.run(argv, capture_output=True).returncode == 0)  # type: ignore[misc]


def live(folder: Path, seed: bytes = b"1") -> Path:
    """As far as the cache cares: nothing of it is run."""
    folder.mkdir(exist_ok=True)
    for name, begin, size in (
        ("vmlinuz", KERNEL, 3000),
        ("initrd.img", b"", 5000),
        ("filesystem.squashfs", b"hsqs", 70000),
    ):
        (folder / name).write_bytes(begin.ljust(size, seed))
    return folder


def images(disk: Disk) -> dict[str, tuple[int, str]]:
    places = sorted(path for path in (disk.cache / "opt").rglob("*") if path.is_file())
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in places
    }


def leads_to(disk: Disk) -> set[str]:
    """What the live systems hold that the menu leads to: each is whole."""
    folders = {re.sub("^/", "", one) for one in re.findall(r"live-media-path=(\S+)", disk.menu)}
    held = set()
    for folder in folders:
        told = json.loads((disk.cache / folder / "live.json").read_bytes())
        for name, (size, digest) in told["files"].items():
            content = (disk.cache / folder / name).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (size, digest)
            held.add(chr(content[-1]))
    return held


def test_all_is_made_once_and_said(tmp_path: Path, disk: Callable[..., Disk], command: Command) -> None:
    pc, source = disk(), live(tmp_path / "live")
    before = images(pc)
    there = ("--cache", pc.cache)
    code, said, _ = command("cache", "offline-status", *there)
    assert code == 2 and said.count("missing") == 4
    assert command("cache", "make-offline", *there, "--live", source, "--append", "console=ttyS0")[0] == 0
    code, said, _ = command("cache", "offline-status", *there, "--json")
    told = json.loads(said)
    assert code == 0 and told["complete"] and {one["state"] for one in told["parts"]} == {"current"}
    assert told["live"]["files"]["root.squashfs"]["size"] == 70000
    assert leads_to(pc) == {"1"} and "ogtorrent.image=aula1/windows.img" in pc.menu
    assert "'console=ttyS0'" in pc.menu
    assert b"GRUB \0" in pc.code and pc.in_esp("BOOTX64.EFI")[:2] == b"MZ"
    stands = {path: path.stat().st_mtime_ns for path in pc.home.rglob("*") if path.name != "asked.json"}
    assert command("cache", "make-offline", *there)[0] == 0
    assert {
        path: path.stat().st_mtime_ns for path in pc.home.rglob("*") if path.name != "asked.json"
    } == stands
    # It is no image, and the images are as they were.
    assert [one["image"] for one in json.loads(command("cache", "list", *there, "--json")[1])["images"]] == [
        "aula1/windows.img"
    ]
    assert images(pc) == before
    # One that only reads does so where live-boot has mounted the cache.
    subprocess.run(["mount", "-o", "remount,ro", pc.cache], check=True)
    assert command("cache", "offline-status", *there)[0] == 0
    target = tmp_path / "target"
    target.mkdir()
    (target / "restored").touch()
    apply = ("overlay", "apply", target, "--image", "aula1/windows.img", *there)
    assert command(*apply)[:2] == (0, "nothing is laid over aula1/windows.img\n")
    assert command("cache", "make-offline", *there)[0] == 14
    subprocess.run(["mount", "-o", "remount,rw", pc.cache], check=True)
    # Whoever writes the menu again writes it in the language in which it was asked for.
    asked = pc.home / "asked.json"
    asked.write_text(asked.read_text().replace('"en"', '"es"'))
    # An image that goes takes its entry with it; a source that changes and a file that is cut are told.
    command("cache", "remove", "aula1/windows.img", *there)
    assert "Sistema de rescate" in pc.menu
    assert "windows.img" not in pc.menu and command("cache", "offline-status", *there)[0] == 0
    live(source, b"2")
    code, said, _ = command("cache", "offline-status", *there)
    assert code == 2 and "live system: old (its source has changed)" in said
    assert command("cache", "make-offline", *there)[0] == 0 and leads_to(pc) == {"2"}
    assert len(list(pc.home.glob("live-*"))) == 1
    os.truncate(next(pc.home.glob("live-*/vmlinuz")), 1)
    code, said, _ = command("cache", "offline-status", *there)
    assert code == 2 and "live system: old (a file of it is cut or gone)" in said
    assert command("cache", "make-offline", *there)[0] == 0 and leads_to(pc) == {"2"}
    # A sector that lost what it held is found by reading, which make-offline does.
    with next(pc.home.glob("live-*/root.squashfs")).open("r+b") as file:
        file.write(b"x")
    assert command("cache", "make-offline", *there)[0] == 0 and leads_to(pc) == {"2"}


def test_another_systems_boot_loader_stays_until_somebody_says_otherwise(
    tmp_path: Path, disk: Callable[..., Disk], command: Command
) -> None:
    pc, source = disk(), live(tmp_path / "live")
    pc.write_code(WINDOWS)
    pc.put_in_esp("BOOTX64.EFI", b"MZ bootmgfw")
    make = ("cache", "make-offline", "--cache", pc.cache, "--live", source)
    code, _, said = command(*make)
    assert code == 4 and "starts Windows" in said and "--boot-loader both" in said
    assert not (pc.home / "grub.cfg").exists() and not list(pc.home.glob("live-*"))
    assert command(*make, "--boot-loader", "none")[0] == 0
    assert (pc.code, pc.in_esp("BOOTX64.EFI")) == (WINDOWS, b"MZ bootmgfw")
    assert command("cache", "offline-status", "--cache", pc.cache)[0] == 0  # as it was asked for
    assert command(*make, "--boot-loader", "both")[0] == 0
    assert b"GRUB \0" in pc.code and b"started_by=ogtorrent" in pc.in_esp("BOOTX64.EFI")
    # It can be started from the menu, and put back.
    assert "mbr.before" in pc.menu and "BEFORE.EFI" in pc.menu
    assert pc.in_esp("BEFORE.EFI") == b"MZ bootmgfw"
    assert (pc.home / "mbr.before").read_bytes()[:440] == WINDOWS
    assert (
        command(*make, "--boot-loader", "auto")[0] == 0
        and (pc.home / "mbr.before").read_bytes()[:440] == WINDOWS
    )


@pytest.mark.parametrize(
    "table",
    [GPT.replace("21686148-6449-6E6F-744E-656564454649", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"), DOS],
)
def test_where_one_way_of_booting_has_no_place_the_other_does(
    tmp_path: Path, disk: Callable[..., Disk], command: Command, table: str
) -> None:
    """GPT without a BIOS boot partition; an MBR disk whose first partition is no EFI system partition."""
    pc, source = disk(table, esp=table is not DOS), live(tmp_path / "live")
    make = ("cache", "make-offline", "--cache", pc.cache, "--live", source)
    code, _, said = command(*make, "--boot-loader", "both")
    assert code == 3 and ("EFI system partition" if table is DOS else "BIOS boot partition") in said
    assert command(*make)[0] == 0
    assert (b"GRUB \0" in pc.code) is (table is DOS)
    assert command("cache", "offline-status", "--cache", pc.cache)[0] == 0


def test_a_cache_without_room_is_left_as_it_was(
    tmp_path: Path, disk: Callable[..., Disk], command: Command
) -> None:
    pc, source = disk(), live(tmp_path / "live")
    os.truncate(source / "filesystem.squashfs", 2**30)
    before = sorted(pc.cache.rglob("*"))
    code, _, said = command("cache", "make-offline", "--cache", pc.cache, "--live", source)
    assert code == 16 and "full" in said
    assert {*pc.cache.rglob("*")} - {*before} <= {pc.home.parent, pc.home}
    assert not any(pc.code)


def test_what_cannot_boot_is_refused(tmp_path: Path, disk: Callable[..., Disk], command: Command) -> None:
    """A folder of another file system; a file system with a feature that GRUB does not know."""
    (tmp_path / "cache").mkdir()
    code, _, said = command("cache", "make-offline", "--cache", tmp_path / "cache")
    assert code == 15 and "partition" in said
    pc = disk(mkfs=("mkfs.ext4", "-q", "-O", "inline_data"))
    code, _, said = command("cache", "make-offline", "--cache", pc.cache, "--live", live(tmp_path / "live"))
    assert code == 15 and "GRUB cannot read" in said and not list(pc.home.glob("live-*"))


def test_what_the_initrd_or_grub_could_not_find_is_refused(
    tmp_path: Path, disk: Callable[..., Disk], command: Command
) -> None:
    """ogLive without the label CACHE; a cache in a folder with blanks; ours on another file system."""
    pc, source, oglive = (
        disk(DOS.replace("size=8M, type=ef\n", ""), esp=False),
        tmp_path / "live",
        tmp_path / "og",
    )
    oglive.mkdir()
    for name, content in (("ogvmlinuz", KERNEL), ("oginitrd.img", b"1"), ("ogclient.sqfs", b"hsqs")):
        (oglive / name).write_bytes(content)
    make = ("cache", "make-offline", "--live")
    subprocess.run(["e2label", f"{pc.device}p1", "DATA"], check=True)
    code, _, said = command(*make, oglive, "--cache", pc.cache)
    assert code == 2 and "label" in said and "CACHE" in said
    (pc.cache / "my cache").mkdir()
    code, _, said = command(*make, live(source), "--cache", pc.cache / "my cache")
    assert code == 15 and "my cache" in said
    shutil.rmtree(pc.home)
    (tmp_path / "elsewhere").mkdir()
    pc.home.symlink_to(tmp_path / "elsewhere")
    code, _, said = command(*make, source, "--cache", pc.cache)
    assert code == 15 and "link" in said and not list((tmp_path / "elsewhere").glob("live-*"))
    assert not any(pc.code)


def test_another_caches_grub_is_anothers_and_what_it_kept_stays(
    tmp_path: Path, disk: Callable[..., Disk], command: Command
) -> None:
    pc = disk()
    uuid = subprocess.run(
        ["blkid", "-o", "value", "-s", "UUID", str(pc.esp)], capture_output=True, check=True
    ).stdout
    pc.put_in_esp("BOOTX64.EFI", b"MZ set started_by=ogtorrent\nsearch.fs_uuid " + uuid.strip() + b" root\n")
    pc.put_in_esp("BEFORE.EFI", b"MZ bootmgfw")
    make = ("cache", "make-offline", "--cache", pc.cache, "--live", live(tmp_path / "live"))
    code, _, said = command(*make)
    assert code == 4 and "another cache" in said
    assert command(*make, "--boot-loader", "efi")[0] == 0
    assert pc.in_esp("BEFORE.EFI") == b"MZ bootmgfw" and "BEFORE.EFI" in pc.menu


@pytest.mark.parametrize("mkfs", [("mkfs.ext4", "-q"), ("mkfs.xfs", "-q")])
def test_grub_finds_all_of_it_though_the_power_fails_in_that_instant(
    tmp_path: Path, disk: Callable[..., Disk], command: Command, mkfs: tuple[str, ...]
) -> None:
    """It reads no journal: what stands in one alone is not there for it."""
    pc = disk(GPT, size="400M", mkfs=mkfs)
    make = ("cache", "make-offline", "--cache", pc.cache, "--live", live(tmp_path / "live"))
    assert command(*make, "--boot-loader", "efi")[0] == 0
    seen = ["grub-fstest", tmp_path / "disk", "cat", "(loop0,gpt3)/.ogtorrent/offline/grub.cfg"]
    assert subprocess.run(seen, capture_output=True, text=True, check=True).stdout == pc.menu
    for name in ("vmlinuz", "initrd.img", "root.squashfs"):
        place = next(pc.home.glob(f"live-*/{name}"))
        seen[2:] = ["cmp", f"(loop0,gpt3)/{place.relative_to(pc.cache)}", str(place)]
        assert subprocess.run(seen, capture_output=True).returncode == 0


STEPS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime", "shutil.copyfile", "subprocess.Popen")
WRITERS = ("grub-bios-setup", "mcopy", "mmd", "mren")


def killed_at(number: int, *arguments: object) -> bool:
    """Run a command that dies at its nth step; whether it did."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    count = 0

    def hear(event: str, told: tuple[object, ...]) -> None:
        nonlocal count
        if event in STEPS and ("CACHE" in str(told) or str(told[0]).endswith(WRITERS)):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    from ogtorrent.cli import main

    with Path(os.devnull).open("w") as sys.stdout:
        sys.addaudithook(hear)
        try:
            main([str(one) for one in arguments])
        finally:
            os._exit(0)


@pytest.mark.parametrize("had", [False, True])
def test_a_kill_anywhere_leaves_what_booted_before_or_what_boots_now(
    tmp_path: Path, disk: Callable[..., Disk], command: Command, had: bool
) -> None:
    """With nothing there, and with an old system, an old menu and another's boot loaders to take over."""
    pc, source = disk(), live(tmp_path / "live")
    before, number, killed, kept = images(pc), 0, True, tmp_path / "kept"
    make = ("cache", "make-offline", "--cache", pc.cache, "--live", source, "--boot-loader", "both")
    while killed:
        number += 1
        shutil.rmtree(pc.home, ignore_errors=True)
        subprocess.run(
            ["mdeltree", "-i", str(pc.esp), "::/EFI"], env=os.environ | MTOOLS, capture_output=True
        )
        pc.write_code(WINDOWS if had else b"")
        live(source)
        if had:
            pc.put_in_esp("BOOTX64.EFI", b"MZ bootmgfw")
            if not kept.exists():
                assert command(*make, "--boot-loader", "none")[0] == 0
                shutil.copytree(pc.home, kept)
            shutil.copytree(kept, pc.home, dirs_exist_ok=True)
        live(source, b"2")
        killed = killed_at(number, *make)
        if (pc.home / "grub.cfg").exists():
            assert leads_to(pc) in ({"1"}, {"2"})[not had :]
        else:
            assert not had and not any(pc.code)  # nothing leads there yet
        if had and pc.code != WINDOWS:
            assert (pc.home / "mbr.before").read_bytes()[:440] == WINDOWS
        assert images(pc) == before
        assert command(*make)[0] == 0
        assert leads_to(pc) == {"2"} and not (pc.home / ".making").exists()
        assert len(list(pc.home.glob("live-*"))) == 1
        if had:
            assert pc.in_esp("BEFORE.EFI") == b"MZ bootmgfw"
            assert (pc.home / "mbr.before").read_bytes()[:440] == WINDOWS
        assert b"GRUB \0" in pc.code and b"started_by=ogtorrent" in pc.in_esp("BOOTX64.EFI")
    assert number > 15
    assert command("cache", "offline-status", "--cache", pc.cache)[0] == 0
