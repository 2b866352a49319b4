"""The servers that `announce` compares: how each is started, and what its processes cost."""

from __future__ import annotations

import hashlib
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
from bencode2 import bencode

from benchmarks.announcer import Announcer, EventCode, Verdict, connecting, connection_of, is_whole, judge

_ADDRESS = "127.0.0.1"
_PATIENCE = 20.0
_PROJECT = Path(__file__).parents[1]

Door = tuple[str, int]


class TrackerError(Exception):
    """A server did not start, or did not answer."""


@dataclass(frozen=True)
class Shelf:
    """A folder of published torrents."""

    folder: Path
    info_hashes: Sequence[bytes]


@dataclass(frozen=True)
class Server:
    """A contender that runs."""

    process: psutil.Process
    door: Door

    def cpu_seconds(self) -> float:
        """User and system time of its processes."""
        times = [process.cpu_times() for process in self._family()]
        return sum(time.user + time.system for time in times)

    def memory(self) -> int:
        """Bytes of memory that is not a file's; what processes share is counted once (Pss)."""
        return sum(_memory(process.pid) for process in self._family())

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


class Contender(Protocol):
    """A server that can be started."""

    @property
    def name(self) -> str: ...

    def absence(self) -> str | None:
        """Why it cannot be started here."""

    def command(self, shelf: Shelf, door: Door) -> Sequence[str]: ...

    def answers(self, shelf: Shelf, door: Door) -> bool: ...


class Ours:
    name = "ogtorrent"

    def absence(self) -> str | None:
        return None

    def command(self, shelf: Shelf, door: Door) -> Sequence[str]:
        return [sys.executable, "-m", "tracker", str(shelf.folder), "--listen", f"{door[0]}:{door[1]}"]

    def answers(self, shelf: Shelf, door: Door) -> bool:
        return serves(door, shelf)


class Opentracker:
    name = "opentracker"

    # Debian's serves listed torrents only, will not stay root, and reads its list in its new root.
    _CONFIGURATION = """\
listen.tcp_udp {address}:{port}
access.whitelist whitelist
tracker.rootdir {root}
tracker.user nobody
"""

    def absence(self) -> str | None:
        return None if shutil.which("opentracker") else "opentracker is missing: apt-get install opentracker"

    def command(self, shelf: Shelf, door: Door) -> Sequence[str]:
        root = shelf.folder / "opentracker"
        root.mkdir(exist_ok=True)
        (root / "whitelist").write_text("".join(f"{one.hex()}\n" for one in shelf.info_hashes))
        configuration = root / "opentracker.conf"
        configuration.write_text(self._CONFIGURATION.format(address=door[0], port=door[1], root=root))
        return ["opentracker", "-f", str(configuration)]

    def answers(self, shelf: Shelf, door: Door) -> bool:
        return serves(door, shelf)


@dataclass(frozen=True)
class Bare:
    """What answers `length` bytes without looking at the question."""

    protocol: str
    length: int
    name: str = "bare"

    def absence(self) -> str | None:
        return None

    def command(self, shelf: Shelf, door: Door) -> Sequence[str]:
        program = [sys.executable, "-m", "benchmarks.bare", self.protocol]
        return [*program, door[0], str(door[1]), str(self.length)]

    def answers(self, shelf: Shelf, door: Door) -> bool:
        if self.protocol == "udp":
            return bool(_ask_datagram(door))
        return b" 200 " in _ask(door, Announcer(shelf.info_hashes[0], 0).request())[:16]


@contextmanager
def running(contender: Contender, shelf: Shelf) -> Iterator[Server]:
    """Start a contender on a free port, wait until it answers, and end it."""
    door = (_ADDRESS, _free_port())
    log = shelf.folder / f"{contender.name}.log"
    with log.open("wb") as file:
        command = [*_LIMITED, *contender.command(shelf, door)]
        child = subprocess.Popen(command, stdout=file, stderr=file, cwd=_PROJECT)
        try:
            deadline = time.monotonic() + _PATIENCE
            while not contender.answers(shelf, door):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise TrackerError(f"{contender.name} does not answer: {log.read_text()[-500:]}")
                time.sleep(0.05)
            yield Server(psutil.Process(child.pid), door)
        finally:
            child.terminate()
            try:
                child.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def fill_shelf(folder: Path, torrents: int) -> Shelf:
    """Publish so many tiny torrents."""
    info_hashes = []
    for number in range(torrents):
        name = f"image{number}.img"
        info = bencode(
            {
                b"length": 1 << 20,
                b"name": name.encode(),
                b"piece length": 1 << 20,
                b"pieces": hashlib.sha1(name.encode()).digest(),
            }
        )
        (folder / f"{name}.torrent").write_bytes(b"d8:announce18:http://127.0.0.1/a4:info" + info + b"e")
        info_hashes.append(hashlib.sha1(info).digest())
    return Shelf(folder, info_hashes)


def serves(door: Door, shelf: Shelf) -> bool:
    """Whether the last torrent is served already; leaves no peer behind."""
    asker = Announcer(shelf.info_hashes[-1], 0)
    return judge(_ask(door, asker.request(event=EventCode.STOPPED))) is not Verdict.REFUSED


def speaks_udp(door: Door) -> bool:
    return any(connection_of(_ask_datagram(door), 1) is not None for _ in range(3))


def answer_length(door: Door, announcer: Announcer) -> int:
    """Bytes of the body that this announcer gets."""
    return len(_ask(door, announcer.request()).partition(b"\r\n\r\n")[2])


def allow_many_files() -> None:
    """Thousands of connections at once need so many descriptors on this side."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_USUAL_FILES[1], _USUAL_FILES[1]))


_USUAL_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
# The limit of open files is raised for the crowd; a server has to live with the usual one.
_LIMITED = ("sh", "-c", 'ulimit -S -n "$0" && exec "$@"', str(_USUAL_FILES[0]))


def _ask(door: Door, request: bytes) -> bytes:
    reply = b""
    with suppress(OSError), socket.create_connection(door, timeout=_PATIENCE) as connection:
        connection.sendall(request)
        while not is_whole(reply) and (data := connection.recv(65536)):
            reply += data
    return reply


def _ask_datagram(door: Door) -> bytes:
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(0.5)
        connection.connect(door)
        connection.send(connecting(1))
        return connection.recv(2048)
    return b""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_ADDRESS, 0))
        return int(listener.getsockname()[1])


def _memory(pid: int) -> int:
    # A library's pages count the less, the more processes have them: they would grow by themselves.
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
