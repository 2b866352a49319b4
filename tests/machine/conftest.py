"""A live system on a disk, once for all; and where the consoles are recorded."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rooms.disks import skip_without_disks
from rooms.laboratory import PROJECT, skip_without_room

from benchmarks.room import Host

from . import build, qemu
from .qemu import Machine, switched_on

RECORDS = PROJECT / "build" / "machine"
# What the server of a room would tell a PC that boots over the network; its one card is eth0.
PARAMETERS = "console=ttyS0 net.ifnames=0"
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "debootstrap": "debootstrap",
    "mksquashfs": "squashfs-tools",
    "mformat": "mtools",
    "ganesha.nfsd": "nfs-ganesha",
    "smbd": "samba",
    "partclone.ext4": "partclone",
}


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[build.Live]:
    """The live system, unless no machine can be made here."""
    skip_without_room(**NEEDED)
    skip_without_disks()
    if not qemu.UEFI[0].exists():
        pytest.skip("there is no UEFI firmware for QEMU: apt-get install ovmf")
    if not Path("/dev/net/tun").exists():
        pytest.skip("this kernel has no /dev/net/tun, which a machine's network needs")
    folder = tmp_path_factory.mktemp("live")
    yield build.system(folder)
    shutil.rmtree(folder)


@dataclass
class Record:
    """What the console showed, and how long each part of the day took."""

    file: Path
    _since: float = field(default_factory=time.monotonic)

    def chapter(self, title: str) -> None:
        seconds = time.monotonic() - self._since
        with self.file.open("a") as written:
            written.write(f"\n\n======== {seconds:5.0f} s: {title}\n\n")


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    RECORDS.mkdir(parents=True, exist_ok=True)
    made = Record(RECORDS / f"{request.node.name.removeprefix('test_')}.log")
    made.file.write_text(f"QEMU, {' '.join(qemu.PROCESSOR)}, {os.cpu_count()} cores\n")
    yield made
    made.chapter("the end")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for file in sorted(RECORDS.glob("*.log")):
        terminalreporter.write_line(f"the console's record: {file}")


class PC:
    """Boots over the network, which is a disk with the live system beside its own; or from its own alone."""

    def __init__(self, live: build.Live, record: Record, *disks: Path) -> None:
        self._live, self._record, self._disks = live, record, disks

    @contextmanager
    def from_network(
        self, host: Host | None, dvd: Path | None = None, stick: Path | None = None
    ) -> Iterator[Machine]:
        """host: the place in the room that it is plugged into, or None where no test is of the network.

        dvd, stick: what somebody put into it.
        """
        kernel = self._live.kernel, self._live.initrd, f"boot=live {PARAMETERS}"
        words = qemu.words(
            *self._disks, medium=self._live.medium, kernel=kernel, host=host, dvd=dvd, stick=stick
        )
        with switched_on(words, self._record.file) as machine:
            machine.log_in()
            if host is not None:
                machine.run(f"ip addr add {host.address}/16 dev eth0 && ip link set eth0 up")
            yield machine

    @contextmanager
    def from_its_disk(self, uefi: Path | None = None) -> Iterator[Machine]:
        """uefi: where that firmware keeps its variables; without it the firmware is a BIOS."""
        with switched_on(qemu.words(*self._disks, uefi=uefi), self._record.file) as machine:
            machine.log_in()
            yield machine
