"""Crowds of announcers: as fast as the tracker can, by the clock, or all at once."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import select
import socket
import subprocess
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct

from benchmarks.announcer import (
    TRANSACTION_AT,
    Announcer,
    EventCode,
    Verdict,
    connecting,
    connection_of,
    is_answer,
    is_whole,
    judge,
    judge_datagram,
)
from benchmarks.trackers import Door, TrackerError

_CONNECTIONS = 64
_WINDOW = 64
# A client of libtorrent's gives a tracker up after so long.
_PATIENCE = 30.0
# A datagram that is not answered by then is lost.
_SILENCE = 1.0
_NUMBER = Struct(">I")

# wrk asks in turn for everything in `requests`; what it got is counted in its own thread.
_SCRIPT = """\
requests = {}
for line in io.lines("%s") do
  requests[#requests + 1] = line:gsub("|", "\\r\\n")
end
asked, refused, empty = 0, 0, 0
local threads = {}
function setup(thread) threads[#threads + 1] = thread end
function request()
  asked = asked %% #requests + 1
  return requests[asked]
end
function response(status, headers, body)
  local peers = body:match("5:peers(%%d+):")
  if status ~= 200 or peers == nil then refused = refused + 1
  elseif peers == "0" then empty = empty + 1 end
end
function done(summary, latency, requests)
  local failed = summary.errors
  io.stderr:write(string.format(
    '{"answers": %%d, "seconds": %%f, "refused": %%d, "empty": %%d, "failed": %%d, "closed": %%d}',
    summary.requests, summary.duration / 1e6, threads[1]:get("refused"), threads[1]:get("empty"),
    failed.connect + failed.write + failed.timeout, failed.read))
end
"""


@dataclass(frozen=True)
class Flood:
    """What came of announcing without a pause."""

    answers: int
    seconds: float
    refused: int
    empty: int
    failed: int
    # CPU seconds of this side.
    spent: float
    # Connections that were to be kept and were not, or broke within an answer.
    closed: int = 0

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


@dataclass
class Visits:
    """What came of single announces."""

    # Seconds from the sending to the answer; who got none, or a refusal, has waited to the end of patience.
    waits: list[float] = field(default_factory=list)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    # Refused connections, resets, silence.
    failures: Counter[str] = field(default_factory=Counter)
    # Seconds behind the clock that this side sent its latest, and from the first to the last one's sending.
    latest: float = 0.0
    span: float = 0.0

    @property
    def answered(self) -> int:
        return self.verdicts[Verdict.GOOD] + self.verdicts[Verdict.EMPTY]

    @property
    def failed(self) -> int:
        return self.failures.total() + self.verdicts[Verdict.REFUSED]


def flood_http(
    door: Door, announcers: Sequence[Announcer], seconds: int, folder: Path, *, keep_alive: bool
) -> Flood:
    """By wrk, from one address, on 64 connections, or on a new one for each announce."""
    requests = folder / "requests"
    lines = (one.request(keep_alive=keep_alive).replace(b"\r\n", b"|") for one in announcers)
    requests.write_bytes(b"\n".join(lines))
    script = folder / "announce.lua"
    script.write_text(_SCRIPT % requests)
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", str(script)]
    before = _cpu_seconds(resource.RUSAGE_CHILDREN)
    command.append(f"http://{door[0]}:{door[1]}/")
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode:
        raise TrackerError(f"wrk: {ran.stderr}{ran.stdout}")
    spent = _cpu_seconds(resource.RUSAGE_CHILDREN) - before
    return Flood(**json.loads(ran.stderr), spent=spent)


class UdpFlood:
    """A connected socket for each announcer, and up to 64 announces that are not answered yet."""

    def __init__(self, door: Door, announcers: Sequence[Announcer], *, checked: bool = True) -> None:
        self._checked = checked
        self._sockets: dict[int, socket.socket] = {}
        self._datagrams: dict[int, bytearray] = {}
        with ExitStack() as opened:
            for announcer in announcers:
                door_to = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                door_to.settimeout(_SILENCE)
                door_to.bind((announcer.address, 0))
                door_to.connect(door)
                self._sockets[door_to.fileno()] = door_to
                connection = self._connect(door_to)
                self._datagrams[door_to.fileno()] = announcer.datagram(connection, 0)
            self._opened = opened.pop_all()

    def __enter__(self) -> UdpFlood:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def run(self, seconds: float) -> Flood:
        verdicts: Counter[Verdict] = Counter()
        idle = deque(self._sockets)
        asked: dict[int, int] = {}
        sent = 0
        with select.epoll() as poll, _no_collection():
            for number in self._sockets:
                poll.register(number, select.EPOLLIN)

            def send() -> None:
                nonlocal sent
                sent += 1
                number = idle.popleft()
                datagram = self._datagrams[number]
                _NUMBER.pack_into(datagram, TRANSACTION_AT, sent)
                asked[number] = sent
                self._sockets[number].send(datagram)

            for _ in range(_WINDOW):
                send()
            start, before = time.monotonic(), _cpu_seconds(resource.RUSAGE_SELF)
            while (now := time.monotonic()) - start < seconds:
                ready = poll.poll(_SILENCE, _WINDOW)
                for number, _ in ready:
                    answer = self._sockets[number].recv(2048)
                    transaction = asked.get(number)
                    if transaction is None or (self._checked and not is_answer(answer, transaction)):
                        continue
                    del asked[number]
                    idle.append(number)
                    verdicts[judge_datagram(answer, transaction) if self._checked else Verdict.GOOD] += 1
                    send()
                if not ready:
                    # All that were on the way are lost.
                    idle.extend(asked)
                    asked.clear()
                    for _ in range(_WINDOW):
                        send()
        answers = verdicts.total()
        return Flood(
            answers,
            now - start,
            verdicts[Verdict.REFUSED],
            verdicts[Verdict.EMPTY],
            sent - answers - len(asked),
            _cpu_seconds(resource.RUSAGE_SELF) - before,
        )

    def _connect(self, door_to: socket.socket) -> int:
        if not self._checked:
            return 0
        for _ in range(3):
            door_to.send(connecting(1))
            try:
                connection = connection_of(door_to.recv(2048), 1)
            except TimeoutError:
                continue
            if connection is not None:
                return connection
        raise TrackerError("a connect over UDP has no answer")


Visit = Callable[[Door, Announcer, EventCode], Awaitable[Verdict]]


async def visit_http(door: Door, announcer: Announcer, event: EventCode) -> Verdict:
    """One announce on a new connection."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.bind((announcer.address, 0))
        await loop.sock_connect(connection, door)
        await loop.sock_sendall(connection, announcer.request(event=event))
        reply = b""
        while not is_whole(reply) and (data := await loop.sock_recv(connection, 65536)):
            reply += data
    return judge(reply)


async def visit_udp(door: Door, announcer: Announcer, event: EventCode) -> Verdict:
    """A connect and an announce: a connection's number is too old by the time of the next announce."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.bind((announcer.address, 0))
        connection.connect(door)
        connection.send(connecting(announcer.number))
        number = connection_of(await loop.sock_recv(connection, 2048), announcer.number)
        if number is None:
            return Verdict.REFUSED
        connection.send(announcer.datagram(number, announcer.number, event))
        return judge_datagram(await loop.sock_recv(connection, 2048), announcer.number)


def by_the_clock(
    door: Door,
    announcers: Iterable[Announcer],
    rate: float,
    visit: Visit = visit_http,
    event: EventCode = EventCode.NONE,
) -> Visits:
    """Send `rate` announces a second, whether or not the earlier ones have been answered."""

    async def send_all() -> Visits:
        visits = Visits()
        start = time.monotonic()
        sent = start
        async with asyncio.TaskGroup() as group:
            for number, announcer in enumerate(announcers):
                due = start + number / rate
                if (early := due - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                sent = time.monotonic()
                visits.latest = max(visits.latest, sent - due)
                group.create_task(_note(visits, visit(door, announcer, event)))
            visits.span = sent - start
        return visits

    with _no_collection():
        return asyncio.run(send_all())


def fill(door: Door, announcers: Iterable[Announcer], seconds: float) -> Visits:
    """Bring the announcers in over HTTP, 64 at a time, but not for longer than `seconds`."""
    deadline = time.monotonic() + seconds
    coming = iter(announcers)

    async def bring(visits: Visits) -> None:
        for announcer in coming:
            await _note(visits, visit_http(door, announcer, EventCode.STARTED))
            if time.monotonic() > deadline:
                return

    async def bring_all() -> Visits:
        visits = Visits()
        await asyncio.gather(*(bring(visits) for _ in range(_CONNECTIONS)))
        return visits

    return asyncio.run(bring_all())


async def _note(visits: Visits, visit: Awaitable[Verdict]) -> None:
    start = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE):
            verdict = await visit
    except OSError as failure:
        visits.failures[type(failure).__name__] += 1
        visits.waits.append(_PATIENCE)
        return
    visits.verdicts[verdict] += 1
    visits.waits.append(_PATIENCE if verdict is Verdict.REFUSED else time.monotonic() - start)


def _cpu_seconds(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


@contextmanager
def _no_collection() -> Iterator[None]:
    """A pause of this side's garbage collector would look like one of the tracker's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
