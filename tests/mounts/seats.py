"""A PC and a server with a cable between them, and nobody else: namespaces that end with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machines import DEADLINE, HERE, environment, until

SERVER, NOBODY = "10.98.0.1", "10.98.0.99"  # who serves, and an address that nobody has
_PC = "10.98.0.2"


class Machine:
    """A network, mounts and processes of its own."""

    def __init__(self) -> None:
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen([*command, "sleep", "infinity"], start_new_session=True)
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self.pid = int(until(lambda: children.read_text().strip()))
        until(lambda: Path(f"/proc/{self.pid}/comm").read_text() == "sleep\n")
        self.enter = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", f"--wd={HERE}"]

    def run(self, *command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        options = {"capture_output": True, "text": True, "timeout": 3 * DEADLINE, **options}
        return subprocess.run([*self.enter, *map(str, command)], env=environment(), **options)

    def do(self, script: str) -> str:
        """A shell's work that has to succeed; what it said."""
        done = self.run("sh", "-ec", script)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def popen(self, *command: str | Path, **options: Any) -> subprocess.Popen[Any]:
        options = {"stdin": subprocess.DEVNULL, "env": environment(), "start_new_session": True, **options}
        return subprocess.Popen([*self.enter, *map(str, command)], **options)

    def end(self) -> None:
        """The first process of a PID namespace takes all others with it."""
        os.kill(self.pid, signal.SIGKILL)
        self._holder.wait()


class Seat(Machine):
    """The PC: `/opt`, `/mnt` and `/run` are its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.do(
            f"mkdir {folder}; mount -t tmpfs tmpfs {folder}; mkdir {folder}/upper {folder}/work\n"
            f"mount -t overlay overlay -o lowerdir=/opt,upperdir={folder}/upper,workdir={folder}/work /opt\n"
            "rm -rf /opt/opengnsys; mount -t tmpfs tmpfs /mnt; mount -t tmpfs tmpfs /run"
        )

    def ogtorrent(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "ogtorrent", *arguments, **options)

    def mounts(self) -> str:
        return self.do("grep -E ' /(opt|mnt)' /proc/self/mountinfo")  # others may go by themselves

    def inside(self, path: Path) -> Path:
        """A path of the PC, as this process reaches it."""
        return Path(f"/proc/{self.pid}/root", path.relative_to("/"))


@contextlib.contextmanager
def cabled(folder: Path) -> Iterator[tuple[Seat, Machine]]:
    machines: list[Machine] = []
    try:
        machines.append(server := Machine())
        machines.append(seat := Seat(folder / "seat"))
        cable = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(seat.pid)]
        subprocess.run(["nsenter", f"--target={server.pid}", "--net", *cable], check=True)
        for machine, address in ((server, SERVER), (seat, _PC)):
            machine.do(f"ip link set lo up; ip address add {address}/24 dev eth0; ip link set eth0 up")
        yield seat, server
    finally:
        for machine in machines:
            machine.end()
