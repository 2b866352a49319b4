"""A classroom on one machine: every host a network namespace, every cable a pair of veth interfaces.

    with Room(seats=8, rate=100) as room:
        room.repository.set_rate(1000)
        server = room.repository.popen(["nginx", "-g", "daemon off;"])
        room.seats[0].run(["curl", "-fsSO", f"http://{room.repository.address}/image.img"])
        room.seats[0].bytes_received()

All hosts stand on one switch. Each port is full duplex and shaped at both ends, for a host is throttled by
its own card when it sends and by the switch's port when it receives. Nothing leaves the room: no host has a
default route. When the room closes, for whatever reason, its processes are killed and its namespaces removed.
"""

from __future__ import annotations

import itertools
import json
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

NETWORK = "10.99.0.0/16"
REPOSITORY_ADDRESS = "10.99.0.1"
FIRST_SEAT = 11
MOST_SEATS = 240
CARD = "eth0"

# A switch has about half a megabyte for a port. A host's own queue is longer (a thousand packets is usual).
SWITCH_QUEUE = 512 * 1024
HOST_QUEUE = 1024 * 1024
# Frames in 64 KiB, the largest segment that TCP makes.
LARGEST_SEGMENT = 44

# The Debian package of each program that a room is made with.
PACKAGES = {"ip": "iproute2", "tc": "iproute2", "nsenter": "util-linux", "ethtool": "ethtool"}

_NAMESPACES = Path("/run/netns")
_serial = itertools.count(1)


class RoomError(Exception):
    """A room could not be made, changed or asked; the message says which command failed, and how."""


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


@dataclass(frozen=True)
class Port:
    """One end of a cable: an interface in a namespace, and the bytes that may queue for it."""

    namespace: str
    interface: str
    queue: int

    def shape(self, rate: float | None) -> None:
        """Let at most `rate` Mbit/s out; None lets everything out."""
        # A veth hands on segments of up to 64 KiB where a cable carries frames of 1.5 KB. At 100 Mbit/s each
        # would hold the port for 5 ms on every hop; frame by frame, eight such hosts spend this machine's two
        # cores on waking each other up. In between, as cards that gather interrupts: a millisecond's worth.
        gro = "on" if rate is None else "off"
        _call(*_inside(self.namespace), "ethtool", "-K", self.interface, "tso", "on", "gso", "on", "gro", gro)
        segments = ["gso_max_segs", str(LARGEST_SEGMENT if rate is None else frames_at_once(rate))]
        _call("ip", "-n", self.namespace, "link", "set", "dev", self.interface, *segments)
        # Deleting a qdisc that is not there is an error, and replacing one leaves its queue as it was.
        root = ["dev", self.interface, "root"]
        if _call("tc", "-n", self.namespace, "qdisc", "show", *root).startswith("qdisc tbf"):
            _call("tc", "-n", self.namespace, "qdisc", "del", *root)
        if rate is not None:
            # Its counter starts at zero: whoever measures sets the rate before.
            bucket = ["tbf", "rate", f"{round(rate * 1000)}kbit", "burst", str(burst(rate))]
            _call("tc", "-n", self.namespace, "qdisc", "add", *root, *bucket, "limit", str(self.queue))

    def bytes_out(self) -> int:
        """Bytes that left through this port."""
        # The shaper counts what a segment weighs once it is cut into frames; the card does not.
        shown = json.loads(
            _call("tc", "-n", self.namespace, "-j", "-s", "qdisc", "show", "dev", self.interface)
        )
        for qdisc in shown:
            if qdisc["kind"] == "tbf":
                return int(qdisc["bytes"])
        (card,) = json.loads(
            _call("ip", "-j", "-s", "-n", self.namespace, "link", "show", "dev", self.interface)
        )
        return int(card["stats64"]["tx"]["bytes"])


def frames_at_once(rate: float) -> int:
    """Frames that pass a port of `rate` Mbit/s as one segment: a millisecond's worth, and at least four."""
    return min(LARGEST_SEGMENT, max(4, round(rate * 1_000_000 / 8 * 0.001 / 1514)))


def burst(rate: float) -> int:
    """Bytes that a port of `rate` Mbit/s may send at once: two milliseconds' worth, and at least ten frames.

    A timer that is late by more than this loses the difference for good, and on a busy machine they are late.
    """
    return max(15_140, round(rate * 1_000_000 / 8 * 0.002))


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
        child = subprocess.Popen([*_inside(self.namespace), *map(str, argv)], **options)
        self.children.append(child)
        return child

    def run(self, argv: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program here to its end, its output as text; raise CalledProcessError unless it exits 0."""
        options = {"capture_output": True, "text": True, "check": True, **options}
        return subprocess.run([*_inside(self.namespace), *map(str, argv)], **options)

    def bytes_sent(self) -> int:
        """Bytes on the cable, the headers of every frame included; of an unshaped port those of segments."""
        return self.ports[0].bytes_out()

    def bytes_received(self) -> int:
        return self.ports[1].bytes_out()

    def set_rate(self, rate: float | None) -> None:
        """Change the speed of this host's port in both directions, in Mbit/s; None for as fast as it goes."""
        for port in self.ports:
            port.shape(rate)


@dataclass(frozen=True)
class Switch:
    """A namespace with a bridge. A second one, behind an uplink, would be another value of this type."""

    namespace: str

    def power_on(self) -> None:
        _call("ip", "netns", "add", self.namespace)
        # With snooping off multicast reaches every port, as in a classroom whose switch has no querier.
        bridge = ["link add br0 type bridge stp_state 0 mcast_snooping 0", "link set br0 up"]
        _call("ip", "-n", self.namespace, "-batch", "-", script=bridge)

    def plug(self, name: str, namespace: str, address: str, port: str) -> Host:
        """Make a host, and the cable between it and `port`."""
        _call("ip", "netns", "add", namespace)
        veth = ["ip", "link", "add", "name", CARD, "netns", namespace, "type", "veth"]
        _call(*veth, "peer", "name", port, "netns", self.namespace)
        _call("ip", "-n", self.namespace, "link", "set", port, "master", "br0", "up")
        card = [
            "link set lo up",
            f"addr add {address}/16 brd + dev {CARD} noprefixroute",
            f"link set {CARD} up",
            # Linux's default, whatever this machine uses (clouds like bbr): else figures would not compare.
            # By the route, because a namespace may not choose what the machine does not allow to all.
            f"route add {NETWORK} dev {CARD} src {address} congctl cubic",
            f"route add 224.0.0.0/4 dev {CARD}",
        ]
        _call("ip", "-n", namespace, "-batch", "-", script=card)
        ends = (Port(namespace, CARD, HOST_QUEUE), Port(self.namespace, port, SWITCH_QUEUE))
        return Host(name, namespace, address, ends)


class Room:
    """A repository and `seats` seats on one switch, every port at `rate` Mbit/s (None: unshaped).

    A host that differs is set afterwards: `room.repository.set_rate(1000)`.
    """

    repository: Host
    seats: list[Host]

    def __init__(self, seats: int, rate: float | None = None) -> None:
        if not 0 <= seats <= MOST_SEATS:
            raise RoomError(f"a room has 0 to {MOST_SEATS} seats, not {seats}")
        self._wanted = seats
        self._rate = rate
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
            names = [path.name for path in _NAMESPACES.glob(f"{self._prefix}-*")]
            children = [child for host in self._hosts for child in host.children]
            try:
                _end_processes([_NAMESPACES / name for name in names], children)
            finally:
                for name in names:
                    _call("ip", "netns", "delete", name)

    def _build(self) -> None:
        switch = Switch(f"{self._prefix}-switch")
        switch.power_on()
        places = [("repository", REPOSITORY_ADDRESS)]
        places += [(f"seat{seat}", f"10.99.0.{FIRST_SEAT + seat}") for seat in range(self._wanted)]
        for number, (name, address) in enumerate(places):
            host = switch.plug(name, f"{self._prefix}-{name}", address, port=f"port{number}")
            self._hosts.append(host)
            if self._rate is not None:
                host.set_rate(self._rate)
        self.repository, *self.seats = self._hosts


def _call(*argv: str, script: Sequence[str] = ()) -> str:
    done = subprocess.run(argv, input="\n".join(script), capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip() or f"exit {done.returncode}"
        raise RoomError(f"{' '.join(argv)}: {reason}")
    return done.stdout


def _inside(namespace: str) -> list[str]:
    return ["nsenter", f"--net={_NAMESPACES / namespace}", "--"]


def _end_processes(namespaces: Sequence[Path], children: Sequence[subprocess.Popen[Any]]) -> None:
    """Kill the children and whatever else lives in these namespaces, daemons and grandchildren too."""
    for child in children:
        child.kill()
    inodes = {path.stat().st_ino for path in namespaces}
    deadline = time.monotonic() + 10
    while pids := list(_processes_in(inodes)):
        if time.monotonic() > deadline:
            raise RoomError(f"processes {pids} outlive SIGKILL")
        for pid in pids:
            with suppress(ProcessLookupError):  # it has ended by itself, which is what we want
                os.kill(pid, signal.SIGKILL)
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
