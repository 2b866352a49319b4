"""A PC in QEMU: switched on, asked on its serial console, and its cable pulled out of the wall."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pexpect

from benchmarks.port import call, inside
from benchmarks.room import CARD, Host

MEMORY = 1536  # MiB
# Emulated on every machine alike: where KVM is nested, as in most clouds, a guest does not always start.
# Nehalem has all that our wheels need; more of a processor costs more to emulate.
PROCESSOR = ["-accel", "tcg,thread=multi", "-cpu", "Nehalem"]
UEFI = Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
PATIENCE = 300.0  # seconds for what takes ten here: CI's machine may have less time for us
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][0-9A-B]?|\r")


def plug(host: Host) -> None:
    """Lead the cable of a seat to a machine in its place; the seat's address is free for it."""
    bridge = [
        f"addr flush dev {CARD}",
        "link add br0 type bridge stp_state 0 mcast_snooping 0",
        f"link set {CARD} master br0",
        "tuntap add tap0 mode tap",
        "link set tap0 master br0 up",
        "link set br0 up",
    ]
    call("ip", "-n", host.namespace, "-batch", "-", script=bridge)


class Machine:
    """A PC that is on. All that its console shows goes to the record."""

    def __init__(self, argv: Sequence[str | Path], record: TextIO) -> None:
        self._record = record
        self._count = itertools.count()
        words = list(map(str, argv))
        self._console = pexpect.spawn(
            words[0],
            words[1:],
            timeout=PATIENCE,
            maxread=65536,
            echo=False,
            encoding="utf-8",
            codec_errors="replace",
        )
        self._console.logfile_read = record
        self._console.delaybeforesend = None

    def log_in(self) -> float:
        """Wait for the shell of root; seconds that it took."""
        since = time.monotonic()
        self._console.expect(r"root@seat:\S*# ")
        # Nothing is echoed: what a command says is all that comes.
        self._console.sendline("exec bash --noediting --norc")
        self._console.expect(r"bash-[\d.]+# ")
        self._console.sendline("stty -echo columns 1000; PS1=; PS2=")
        self.run("export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        return time.monotonic() - since

    def run(self, command: str, seconds: float = PATIENCE, code: int | None = 0) -> str:
        """Run a line of shell to its end; what it says. `code`: how it is to end, None for anyhow."""
        self.begin(command)
        return self.end(seconds, code)

    def begin(self, command: str) -> None:
        """Run a line of shell; its end is `end`'s, or that of the machine."""
        self._command, self._mark = command, f"end {next(self._count)}:"
        self._record.write(f"\n[root@seat]# {command}\n")
        self._console.sendline(f"{command}\nprintf '\\n%s%s;\\n' '{self._mark}' $?")

    def until(self, said: str, seconds: float = PATIENCE) -> str:
        """Wait for words on the console, and return them."""
        return self._expect(said, seconds)[1][0]

    def end(self, seconds: float = PATIENCE, code: int | None = 0) -> str:
        """What was said until the end of what `begin` began."""
        said, found = self._expect(rf"\n{self._mark}(\d+);", seconds)
        ended = int(found[1])
        assert code is None or ended == code, f"{self._command}: exit {ended}: {said[-3000:]}"
        return said.strip()

    def _expect(self, pattern: str, seconds: float) -> tuple[str, re.Match[str]]:
        """What came before a pattern, and what that found."""
        self._console.expect(pattern, timeout=seconds)
        before, found = self._console.before, self._console.match
        assert isinstance(before, str) and isinstance(found, re.Match)
        return _ANSI.sub("", before), found

    def cut_power(self) -> None:
        """SIGKILL to QEMU: what the guest has not written to its disk is not there."""
        self._console.kill(9)
        self._console.wait()

    def power_off(self) -> None:
        self._console.sendline("poweroff")
        self._console.expect(pexpect.EOF)
        self._console.wait()


@contextmanager
def switched_on(argv: Sequence[str | Path], record: Path) -> Iterator[Machine]:
    """A machine on whose console somebody is root; off at the end, however that comes."""
    with record.open("a", newline="") as written:
        machine = Machine(argv, written)
        try:
            yield machine
        finally:
            if machine._console.isalive():
                machine.cut_power()


def words(
    *disks: Path,
    medium: Path | None = None,
    kernel: tuple[Path, Path, str] | None = None,
    host: Host | None = None,
    uefi: Path | None = None,
    dvd: Path | None = None,
    stick: Path | None = None,
) -> list[str | Path]:
    """QEMU's command line.

    medium: a disk that is only read. dvd: what is in its drive of those; stick: a disk that can be pulled
    out. kernel: what a server would boot it with over the network, which is kernel, initrd and parameters;
    else the first disk boots. host: the place in the room where the machine stands (`plug`), or None for no
    network at all. uefi: where that firmware keeps its variables; else BIOS.
    """
    argv: list[str | Path] = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"]
    argv += ["-machine", "q35", "-smp", "2", "-m", str(MEMORY), "-serial", "stdio", "-monitor", "none"]
    argv += [*PROCESSOR, "-no-reboot", "-device", "virtio-rng-pci"]
    if uefi is not None:
        argv += ["-drive", f"if=pflash,format=raw,readonly=on,file={UEFI[0]}"]
        argv += ["-drive", f"if=pflash,format=raw,file={uefi}"]
    drives = [f"file={disk},format=raw" for disk in disks]
    drives += [f"file={medium},format=raw,readonly=on"] if medium is not None else []
    for number, drive in enumerate(drives):
        argv += ["-drive", f"{drive},if=none,id=d{number}", "-device", f"virtio-blk-pci,drive=d{number}"]
    argv += ["-device", "virtio-scsi-pci"] if dvd or stick else []
    if dvd is not None:
        argv += [
            "-drive",
            f"file={dvd},format=raw,readonly=on,if=none,id=dvd",
            "-device",
            "scsi-cd,drive=dvd",
        ]
    if stick is not None:
        argv += ["-drive", f"file={stick},format=raw,if=none,id=stick"]
        argv += ["-device", "scsi-hd,drive=stick,removable=on"]
    if kernel is not None:
        argv += ["-kernel", kernel[0], "-initrd", kernel[1], "-append", kernel[2]]
    if host is None:
        return [*argv, "-nic", "none"]
    argv += ["-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no"]
    argv += ["-device", "virtio-net-pci,netdev=n0,mac=52:54:00:0a:63:0b,romfile="]
    return [*inside(host.namespace), *argv]
