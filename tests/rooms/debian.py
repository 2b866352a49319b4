"""A clean Debian in a folder, which boots with systemd as a machine's first process."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from .laboratory import PROJECT, until

OURS = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def clean() -> Path:
    """What debootstrap makes of this machine's release; made once, and kept below `build`."""
    release, site = _release()
    tree = PROJECT / "build" / f"debian-{release}"
    if not tree.exists():
        part = tree.with_name(f"{tree.name}.{os.getpid()}")
        part.parent.mkdir(exist_ok=True)
        _run(["debootstrap", "--variant=minbase", release, part, site])
        part.rename(tree)
    return tree


def _release() -> tuple[str, str]:
    """The code name and the mirror that this machine's own packages come from."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    targets = _run(["apt-get", "indextargets", "--format", "$(CODENAME) $(SITE)", "Created-By: Packages"])
    found = dict(reversed([line.split() for line in targets.splitlines()]))
    return release, found[release]


@dataclass(frozen=True)
class Machine:
    """A copy of a tree; what is done to it goes into a layer of its own."""

    root: Path

    def apt(self, *words: str | Path) -> None:
        """`apt-get` without a question, from the mirror, while the machine is off."""
        _run(["chroot", self.root, "apt-get", "--yes", "--quiet", "--no-install-recommends", *words])

    def run(self, *argv: str | Path) -> str:
        """Run a program here, while the machine is off."""
        return _run(["chroot", self.root, *argv])

    @contextmanager
    def booted(self, namespace: Path, log: Path, *options: str) -> Iterator[Booted]:
        """Switch it on, with the network of a namespace; switched off at the end, however that comes."""
        words = ["--boot", f"--network-namespace-path={namespace}", *options]
        with self._running("systemd", words, log) as first:
            booted = Booted(first)
            until(booted.is_up, "the machine is up", log=log)
            yield booted

    @contextmanager
    def live(self, log: Path, *options: str) -> Iterator[Booted]:
        """As it is from a DVD: its root can be read alone, /run, /tmp and /dev/shm are memory; nothing runs
        there by itself, and its only network is its loopback."""
        words = ["--read-only", "--private-network", "--as-pid2", *options, "sleep", "infinity"]
        with self._running("sleep", words, log) as first:
            yield Booted(first)

    @contextmanager
    def _running(self, name: str, words: list[str], log: Path) -> Iterator[int]:
        """A container of these words, until its process of that name ends."""
        always = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={self.root}"]
        with log.open("wb") as console:
            process = subprocess.Popen(
                [*always, *words],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        try:
            until(lambda: _first(process, name) is not None, "the machine starts", log=log)
            yield _first(process, name) or 0
        finally:
            first = _first(process, name)
            if first is not None:
                os.kill(first, 9)
            process.wait(30)


@dataclass(frozen=True)
class Booted:
    """A machine that runs; `first` is its first process, as the host numbers it."""

    first: int

    def run(self, *argv: str | Path, check: bool = True) -> str:
        """Run a program here to its end; what it says."""
        return _run(["nsenter", "--all", f"--target={self.first}", "--", *argv], check=check)

    def is_up(self) -> bool:
        """Whether systemd has started what it starts; `degraded` is a container's usual state."""
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()


@contextmanager
def machine(tree: Path, folder: Path) -> Iterator[Machine]:
    """A machine of a tree that stays as it is."""
    upper, work, root = (folder / name for name in ("upper", "work", "root"))
    for one in (upper, work, root):
        one.mkdir(parents=True)
    layers = f"lowerdir={tree},upperdir={upper},workdir={work}"
    _run(["mount", "-t", "overlay", "overlay", "-o", layers, root])
    try:
        (root / "etc" / "resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())
        yield Machine(root)
    finally:
        _run(["umount", root])
        for one in (upper, work):
            shutil.rmtree(one)


def _first(process: subprocess.Popen[bytes], name: str) -> int | None:
    """What runs in the container, once it is that and no longer a child that makes it ready."""
    assert process.poll() is None, "the machine has gone off"
    for child in psutil.Process(process.pid).children(recursive=True):
        if child.name() == name:
            return child.pid
    return None


def _run(argv: list[str | Path], check: bool = True) -> str:
    words = list(map(str, argv))
    done = subprocess.run(
        words,
        env={**os.environ, **OURS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, f"{words}: exit {done.returncode}: {done.stdout[-3000:]}"
    return done.stdout
