"""The live system that the machine boots: Debian with its cloud kernel, in a squashfs as live-boot wants it.

It changes far more seldom than ogtorrent does: what debootstrap and apt make is kept in the user's cache, by
a key of all that decides it. ogtorrent comes on top of it, from the package that `make deb` makes.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rooms.debian import clean, machine
from rooms.laboratory import PROJECT

PACKAGES = """
    linux-image-cloud-amd64 live-boot live-boot-initramfs-tools systemd-sysv udev kmod dbus
    iproute2 iputils-ping nfs-common cifs-utils sshfs openssh-client
    partclone e2fsprogs fdisk parted dosfstools mtools squashfs-tools psmisc
    grub-pc-bin grub-efi-amd64-bin grub2-common
    nfs-ganesha nfs-ganesha-vfs samba openssh-server
    python3 openssl
"""
# What only servers want starts when a test asks for it.
OFF = """
    nfs-ganesha nfs-ganesha-lock smbd nmbd samba-ad-dc ssh rpcbind.service rpcbind.socket nfs-client.target
    apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap dpkg-db-backup.timer fstrim.timer
    logrotate.timer
"""
FILES = {
    "etc/hostname": "seat\n",
    "etc/hosts": "127.0.0.1 localhost seat\n10.99.0.1 repository\n",
    "etc/fstab": "",
    # What is not read by anybody here only makes the system larger.
    "etc/dpkg/dpkg.cfg.d/small": "".join(
        f"path-exclude=/usr/share/{folder}/*\n" for folder in ("doc", "man", "locale", "info")
    ),
    # The processor is emulated: what unpacks fast starts fast.
    "etc/initramfs-tools/conf.d/fast": "COMPRESS=lz4\n",
    "etc/systemd/system/serial-getty@ttyS0.service.d/login.conf": (
        "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear 115200 %I dumb\n"
    ),
    # A day on an emulated processor is no reason to give up.
    "etc/systemd/system.conf.d/patience.conf": "[Manager]\nDefaultTimeoutStartSec=300s\n"
    "DefaultDeviceTimeoutSec=300s\n",
    "root/.bashrc": "export LC_ALL=C.UTF-8 TERM=dumb PAGER=cat\nbind 'set enable-bracketed-paste off'\n",
}
# ogtorrent is put beside the system's own files (`_add_ogtorrent`).
LINKS = {
    "usr/bin/ogtorrent": "/ogtorrent/usr/bin/ogtorrent",
    "usr/lib/ogtorrent": "/ogtorrent/usr/lib/ogtorrent",
}


@dataclass(frozen=True)
class Live:
    """A live system: its kernel, its initrd, and its root as one file."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.img"

    @property
    def root(self) -> Path:
        return self.folder / "filesystem.squashfs"

    @property
    def medium(self) -> Path:
        """A disk with all three, which it boots with."""
        return self.folder / "medium"


def system(folder: Path) -> Live:
    """The live system with ogtorrent as this tree has it now.

    What is below ogtorrent is made, which takes minutes, unless it is kept from before.
    """
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ogtorrent" / "machine"
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = _base(kept)
        for one in (base.kernel, base.initrd, base.root):
            shutil.copy(one, folder)
    live = Live(folder)
    _add_ogtorrent(live)
    _medium(live)
    return live


def _base(kept: Path) -> Live:
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    recipe = [release, PACKAGES, OFF, FILES, LINKS, inspect.getsource(_make)]
    place = kept / hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]
    for other in kept.iterdir():  # of a recipe that is no more, or of a run that was killed
        if other.is_dir() and other != place:
            shutil.rmtree(other)
    if not place.is_dir():
        with tempfile.TemporaryDirectory(dir=kept) as aside:
            made = Path(aside) / place.name
            _make(made, Path(aside) / "work")
            made.rename(place)
    return Live(place)


def _make(folder: Path, work: Path) -> None:
    folder.mkdir()
    work.mkdir()
    with machine(clean(), work) as debian:
        for name, content in FILES.items():
            place = debian.root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
        debian.apt("update")
        debian.apt("install", "lz4", *PACKAGES.split())
        debian.run("systemctl", "mask", *OFF.split())
        debian.run("passwd", "--delete", "root")
        for name, target in LINKS.items():
            (debian.root / name).symlink_to(target)
        boot = debian.root / "boot"
        for wanted, prefix in (("vmlinuz", "vmlinuz-"), ("initrd.img", "initrd.img-")):
            (found,) = boot.glob(f"{prefix}*")
            shutil.copy(found, folder / wanted)
        debian.run("apt-get", "clean")
        (debian.root / "etc/resolv.conf").unlink()
        for name in ("var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(debian.root / name)
        rest = ("boot", "initrd.img", "vmlinuz")
        _squash(debian.root, folder / "filesystem.squashfs", "-noappend", "-e", *rest)


def _add_ogtorrent(live: Live) -> None:
    """The package that `make deb` makes, and the tests where they look for what they test."""
    with tempfile.TemporaryDirectory(dir=live.folder) as work:
        tree = Path(work) / "ogtorrent"
        _run(PROJECT / "packaging" / "deb", sys.executable, work, XZ_LEVEL="0")
        (package,) = Path(work).glob("*.deb")
        _run("dpkg-deb", "--extract", package, tree)
        modules = tree / "usr/lib/ogtorrent"
        rest = shutil.ignore_patterns("node_modules", "__pycache__")
        for folder in ("tests", "benchmarks"):  # these have the rooms that tests are in
            shutil.copytree(PROJECT / folder, modules / folder, ignore=rest)
        shutil.copy(PROJECT / "pyproject.toml", modules)
        # Debian's pytest is older than our tests.
        wanted = [f"{name}=={version(name)}" for name in ("pytest", "pytest-asyncio", "pexpect")]
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
        _run(*uv, "--target", tree / "pytest", *wanted)
        # Appended: a folder whose name the root does not have yet.
        _squash(tree, live.root, "-keep-as-directory")


def _medium(live: Live) -> None:
    """A disk as a live system's CD is: a file system with `live/` in it."""
    files = (live.kernel, live.initrd, live.root)
    kibibytes = sum(one.stat().st_size for one in files) * 11 // 10 // 1024 + 8192
    with tempfile.TemporaryDirectory(dir=live.folder) as work:
        place = Path(work) / "live"
        place.mkdir()
        for one in files:
            os.link(one, place / one.name)
        made = ["-q", "-t", "ext4", "-O", "^has_journal", "-L", "LIVE", "-d", work]
        _run("mke2fs", *made, live.medium, f"{kibibytes}k")


def _squash(tree: Path, file: Path, *options: str) -> None:
    _run("mksquashfs", tree, file, "-quiet", "-no-progress", "-comp", "lz4", *options)


def _run(*argv: str | Path, **more: str) -> None:
    words = list(map(str, argv))
    done = subprocess.run(words, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]}: exit {done.returncode}: {(done.stdout + done.stderr)[-3000:]}"
