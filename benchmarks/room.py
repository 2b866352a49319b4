"""A classroom on one machine: every host a network namespace, every cable a pair of veth interfaces.

    with Room(seats=8, rate=100) as room:
        room.repository.set_rate(1000)
        server = room.repository.popen(["nginx", "-g", "daemon off;"])
        room.seats[0].run(["curl", "-fsSO", f"http://{room.repository.address}/image.img"])
        room.seats[0].bytes_received()

All hosts stand on one switch, or on several that meet at a backbone. Each port is full duplex and shaped at
both ends, for a host is throttled by its own card when it sends and by the switch's port when it receives.
Nothing leaves the room: no host has a default route. When the room closes, for whatever reason, its processes
are killed and its namespaces removed.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from types import FrameType
from typing import Any

from benchmarks.port import NAMESPACES, Port, RoomError, call, inside

NETWORK = "10.99.0.0/16"
REPOSITORY_ADDRESS = "10.99.0.1"
FIRST_SEAT = 11
MOST_SEATS = 240
CARD = "eth0"

# A switch has about half a megabyte for a port. A host's own queue is longer (a thousand packets is usual).
SWITCH_QUEUE = 512 * 1024
HOST_QUEUE = 1024 * 1024

# The Debian package of each program that a room is made with.
PACKAGES = {"ip": "iproute2", "tc": "iproute2", "nsenter": "util-linux", "ethtool": "ethtool"}

_serial = itertools.count(1)


def why_no_room() -> str | None:
    """Why rooms cannot be made here, or None if they can. It tries a small one: the kernel knows best."""
    if os.geteuid() != 0:
        return "a room of network namespaces needs root"
    for program, package in PACKAGES.items():
        if which(program) is None:
            return f"{program} is missing: apt-get install {package}"
    try:
        with Room(seats=1, rate=100):
            return None
    except RoomError as refusal:
        return f"this kernel makes no room: {refusal}"


@dataclass
class Host:
    """A computer of the room. What it starts sees only the room's network."""

    name: str
    namespace: str
    address: str
    ports: tuple[Port, Port]
    children: list[subprocess.Popen[Any]] = field(default_factory=list, repr=False)

    def popen(self, argv: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
        """Start a program here, in a session of its own: a Ctrl-C at the terminal is the room's to deal with.

        `nsenter` becomes the program, so the pid is the program's; unlike `ip netns exec` it mounts nothing,
        which keeps the start near one millisecond.
        """
        options = {"stdin": subprocess.DEVNULL, "start_new_session": True, **options}
        child = subprocess.Popen([*inside(self.namespace), *map(str, argv)], **options)
        self.children.append(child)
        return child

    def run(self, argv: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program here to its end, its output as text; raise CalledProcessError unless it exits 0."""
        options = {"capture_output": True, "text": True, "check": True, **options}
        return subprocess.run([*inside(self.namespace), *map(str, argv)], **options)

    def bytes_sent(self) -> int:
        """Bytes on the cable, the headers of every frame included; of an unshaped port those of segments."""
        return self.ports[0].traffic().bytes

    def bytes_received(self) -> int:
        return self.ports[1].traffic().bytes

    def set_rate(self, rate: float | None) -> None:
        """Change the speed of this host's port in both directions, in Mbit/s; None for as fast as it goes."""
        for port in self.ports:
            port.shape(rate)

    def lose(self, part: float) -> None:
        """From now on this host loses a part of the packets that reach it, as by a bad cable."""
        rules = [
            "add table inet loss",
            "add chain inet loss input { type filter hook input priority 0; }",
            f"add rule inet loss input numgen random mod 10000 < {round(10_000 * part)} drop",
        ]
        self.run(["nft", "; ".join(rules)])

    def plug_out(self) -> None:
        """Pull this host's cable out of the switch; its card has no carrier then."""
        switch = self.ports[1]
        call("ip", "-n", switch.namespace, "link", "set", switch.interface, "down")

    def plug_in(self) -> None:
        switch = self.ports[1]
        call("ip", "-n", switch.namespace, "link", "set", switch.interface, "up")

    def crash(self) -> None:
        """Kill all that runs here, as if the power had failed: nobody can say goodbye."""
        _end_processes([NAMESPACES / self.namespace], self.children)


@dataclass(frozen=True)
class Uplink:
    """The cable between the backbone and a switch, as two ports: into the switch, and out of it."""

    inward: Port
    outward: Port


@dataclass(frozen=True)
class Switch:
    """A namespace with a bridge."""

    namespace: str

    def power_on(self) -> None:
        call("ip", "netns", "add", self.namespace)
        # With snooping off multicast reaches every port, as in a classroom whose switch has no querier.
        bridge = ["link add br0 type bridge stp_state 0 mcast_snooping 0", "link set br0 up"]
        call("ip", "-n", self.namespace, "-batch", "-", script=bridge)

    def plug(self, name: str, namespace: str, address: str, port: str) -> Host:
        """Make a host, and the cable between it and `port`."""
        call("ip", "netns", "add", namespace)
        veth = ["ip", "link", "add", "name", CARD, "netns", namespace, "type", "veth"]
        call(*veth, "peer", "name", port, "netns", self.namespace)
        call("ip", "-n", self.namespace, "link", "set", port, "master", "br0", "up")
        card = [
            "link set lo up",
            f"addr add {address}/16 brd + dev {CARD} noprefixroute",
            f"link set {CARD} up",
            # Linux's default, whatever this machine uses (clouds like bbr): else figures would not compare.
            # By the route, because a namespace may not choose what the machine does not allow to all.
            f"route add {NETWORK} dev {CARD} src {address} congctl cubic",
            f"route add 224.0.0.0/4 dev {CARD}",
        ]
        call("ip", "-n", namespace, "-batch", "-", script=card)
        ends = (Port(namespace, CARD, HOST_QUEUE), Port(self.namespace, port, SWITCH_QUEUE))
        return Host(name, namespace, address, ends)

    def connect(self, backbone: Switch, port: str) -> Uplink:
        """Lay the cable between this switch and `port` of the backbone."""
        veth = ["ip", "link", "add", "name", "uplink", "netns", self.namespace, "type", "veth"]
        call(*veth, "peer", "name", port, "netns", backbone.namespace)
        ends = (Port(backbone.namespace, port, SWITCH_QUEUE), Port(self.namespace, "uplink", SWITCH_QUEUE))
        for end in ends:
            call("ip", "-n", end.namespace, "link", "set", end.interface, "master", "br0", "up")
        return Uplink(*ends)


class Room:
    """A repository and `seats` seats on one switch, every port at `rate` Mbit/s (None: unshaped).

    Each of several switches has as many seats, in a subnet of their own (10.99.1.x, 10.99.2.x), and an uplink
    of `rate`, too, to a backbone where the repository stands. A host that differs is set afterwards:
    `room.repository.set_rate(1000)`.
    """

    repository: Host
    seats: list[Host]
    """Switch after switch."""
    uplinks: list[Uplink]
    """One for each of several switches; a lone switch has none."""

    def __init__(self, seats: int, rate: float | None = None, switches: int = 1) -> None:
        if not 0 <= seats <= MOST_SEATS:
            raise RoomError(f"a switch has 0 to {MOST_SEATS} seats, not {seats}")
        self._wanted = seats
        self._rate = rate
        self._switches = switches
        # The process and a serial number: tests and benchmarks may have a room each at the same time.
        self._prefix = f"ogroom-{os.getpid()}-{next(_serial)}"
        self._hosts: list[Host] = []
        self._signals = ExitStack()

    def __enter__(self) -> Room:
        self._signals.enter_context(stop_signals_raise())
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill what runs in the room and take it down; a signal that comes meanwhile waits for that."""
        with self._signals, _stop_signals_wait():
            names = [path.name for path in NAMESPACES.glob(f"{self._prefix}-*")]
            children = [child for host in self._hosts for child in host.children]
            try:
                _end_processes([NAMESPACES / name for name in names], children)
            finally:
                for name in names:
                    call("ip", "netns", "delete", name)

    def _build(self) -> None:
        backbone = self._power_on("switch")
        self.repository = self._plug(backbone, "repository", REPOSITORY_ADDRESS)
        self.seats, self.uplinks = [], []
        if self._switches == 1:
            self._fill(backbone, subnet=0)
            return
        for number in range(1, self._switches + 1):
            switch = self._power_on(f"switch{number}")
            uplink = switch.connect(backbone, f"uplink{number}")
            for port in (uplink.inward, uplink.outward):
                port.shape(self._rate)
            self.uplinks.append(uplink)
            self._fill(switch, subnet=number)

    def _power_on(self, name: str) -> Switch:
        switch = Switch(f"{self._prefix}-{name}")
        switch.power_on()
        return switch

    def _fill(self, switch: Switch, subnet: int) -> None:
        for place in range(FIRST_SEAT, FIRST_SEAT + self._wanted):
            seat = self._plug(switch, f"seat{len(self.seats)}", f"10.99.{subnet}.{place}")
            self.seats.append(seat)

    def _plug(self, switch: Switch, name: str, address: str) -> Host:
        host = switch.plug(name, f"{self._prefix}-{name}", address, port=f"port{len(self._hosts)}")
        self._hosts.append(host)
        if self._rate is not None:
            host.set_rate(self._rate)
        return host


def _end_processes(namespaces: Sequence[Path], children: Sequence[subprocess.Popen[Any]]) -> None:
    """Kill the children and whatever else lives in these namespaces, daemons and grandchildren too.

    All are stopped before one is killed: who outlived another, however shortly, could tell of it.
    """
    inodes = {path.stat().st_ino for path in namespaces}
    deadline = time.monotonic() + 10
    while pids := {*_processes_in(inodes), *(child.pid for child in children if child.poll() is None)}:
        if time.monotonic() > deadline:
            raise RoomError(f"processes {sorted(pids)} outlive SIGKILL")
        for number, pid in itertools.product((signal.SIGSTOP, signal.SIGKILL), pids):
            with suppress(ProcessLookupError):  # it has ended by itself, which is what we want
                os.kill(pid, number)
        time.sleep(0.01)
    for child in children:
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def _processes_in(inodes: set[int]) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        # A process that ends while we look, or a zombie, has no namespace; one that is shielded is not ours.
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if (process / "ns/net").stat().st_ino in inodes:
                yield int(process.name)


@contextmanager
def stop_signals_raise() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that `with` blocks unwind as they do after Ctrl-C."""

    def stop(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, so they are its owner's business
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _stop_signals_wait() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
