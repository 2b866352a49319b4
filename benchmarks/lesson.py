"""One contender fills one room once: what a contender has to do, and how its work is timed and checked."""

from __future__ import annotations

import hashlib
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any, ClassVar, Protocol

from benchmarks.meter import CpuMeter, Ticks
from benchmarks.room import Host, Room

IMAGE = "image.img"


class LessonError(Exception):
    """The contender did not bring the whole image to every seat; the message says to which, and why."""


@dataclass(frozen=True)
class Fetch:
    """A seat's fetching under way: over when the bell rings or, without a bell, when the process exits 0."""

    seat: Host
    process: subprocess.Popen[Any]
    bell: Path | None = None


@dataclass(frozen=True)
class Lesson:
    """The room, the image and the folder for everybody's files. `rate` is the slowest port's, in Mbit/s."""

    room: Room
    image: Path
    folder: Path
    rate: float | None

    def place(self, host: Host) -> Path:
        """The directory that stands for this host's disk; it is removed with the lesson's folder."""
        place = self.folder / host.name
        place.mkdir(exist_ok=True)
        return place

    def log(self, host: Host) -> Path:
        return self.folder / f"{host.name}.log"

    def start(self, host: Host, argv: Sequence[str | Path]) -> subprocess.Popen[Any]:
        """Start a program on a host, in and at home in its place, with its output in its log."""
        place = self.place(host)
        environment = {**os.environ, "HOME": str(place)}
        with self.log(host).open("ab") as log:
            return host.popen(argv, cwd=place, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def run(self, host: Host, argv: Sequence[str | Path]) -> None:
        """Run a program on a host to its end, and fail the lesson if it fails."""
        done = host.run(argv, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().split("\n")[-1]
            raise LessonError(f"{host.name}: {' '.join(map(str, argv))}: exit {done.returncode}: {said}")

    def hang_bell(self, seat: Host) -> tuple[Path, Path]:
        """A FIFO and a script that writes to it, for programs that run a command after a download."""
        bell = self.folder / f"{seat.name}.bell"
        script = self.folder / f"{seat.name}.ring"
        os.mkfifo(bell)
        script.write_text(f"#!/bin/sh\necho whole > '{bell}'\n")
        script.chmod(0o755)
        return bell, script

    def until(self, ready: Callable[[], bool], what: str, patience: float = 60) -> None:
        """Wait for something that is not part of the timed work."""
        deadline = time.monotonic() + patience
        while not ready():
            if time.monotonic() > deadline:
                raise LessonError(
                    f"{what}: not so after {patience:.0f} s{self._last_words(self.room.repository)}"
                )
            time.sleep(0.05)

    def arrivals(self, fetches: Sequence[Fetch], patience: float) -> list[float]:
        """The moments at which the images were whole, by the monotonic clock, in the order of the fetches."""
        moments: dict[int, float] = {}
        deadline = time.monotonic() + patience
        with selectors.DefaultSelector() as selector, ExitStack() as opened:
            for number, fetch in enumerate(fetches):
                ends = [os.pidfd_open(fetch.process.pid)]
                if fetch.bell is not None:
                    ends.append(os.open(fetch.bell, os.O_RDONLY | os.O_NONBLOCK))
                for end in ends:
                    opened.callback(os.close, end)
                    selector.register(end, selectors.EVENT_READ, (number, end == ends[0]))
            while len(moments) < len(fetches):
                happened = selector.select(deadline - time.monotonic())
                now = time.monotonic()
                if not happened and now >= deadline:
                    late = [fetch.seat.name for i, fetch in enumerate(fetches) if i not in moments]
                    raise LessonError(f"not whole after {patience:.0f} s: {', '.join(late)}")
                for key, _ in happened:
                    number, is_exit = key.data
                    selector.unregister(key.fd)
                    if is_exit:
                        self._check_exit(fetches[number], has_arrived=number in moments)
                    moments.setdefault(number, now)
        return [moments[number] for number in range(len(fetches))]

    def _check_exit(self, fetch: Fetch, has_arrived: bool) -> None:
        code = fetch.process.wait()
        if code or (fetch.bell and not has_arrived):
            raise LessonError(f"{fetch.seat.name}: ended with code {code}{self._last_words(fetch.seat)}")

    def _last_words(self, host: Host) -> str:
        log = self.log(host)
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        spoken = [line.strip() for line in lines if line.strip()]
        return f": {spoken[-1]}" if spoken else ""


class Contender(Protocol):
    """A way to fill a room. Whatever it starts in the room's namespaces ends with the room."""

    name: ClassVar[str]
    programs: ClassVar[Mapping[str, str]]
    """Each program it needs, and that program's Debian package."""

    def why_not(self) -> str | None:
        """Why it cannot take part here, or None if it can."""
        missing = [package for program, package in self.programs.items() if which(program) is None]
        return f"apt-get install {' '.join(dict.fromkeys(missing))}" if missing else None

    def publish(self, lesson: Lesson) -> None:
        """Before the clock starts: hash, serve, and return when the first client would be served at once."""
        ...

    def fetch(self, lesson: Lesson, seat: Host) -> Fetch:
        """Start to fetch the image into the seat's place, under the name `image.img`, and return at once."""
        ...

    def dismiss(self, lesson: Lesson) -> None:
        """After the last arrival: end properly what must not just be killed."""
        return None


@dataclass(frozen=True)
class Filling:
    """What was measured. Seconds are from the common start to each seat's arrival."""

    seconds: list[float]
    bytes_sent: int
    cpu_seconds: float | None
    idle: float
    start_spread: float
    """Between the first seat's start and the last one's: what starting N programs one by one costs."""


def fill(contender: Contender, lesson: Lesson, digest: str, meter: CpuMeter) -> Filling:
    """Let one contender fill the room; raise LessonError unless every image is whole and right."""
    repository = lesson.room.repository
    contender.publish(lesson)
    sent_before, cpu_before, ticks_before = repository.bytes_sent(), meter.seconds(), Ticks.now()
    start = time.monotonic()
    fetches = [contender.fetch(lesson, seat) for seat in lesson.room.seats]
    spread = time.monotonic() - start
    moments = lesson.arrivals(fetches, _patience(lesson))
    idle, cpu = Ticks.now().idle_since(ticks_before), meter.seconds()
    sent = repository.bytes_sent() - sent_before
    # Before anything is killed: whoever rings the bell with data still in memory only is found out here.
    for seat in lesson.room.seats:
        _compare(lesson.place(seat), digest, seat.name)
    contender.dismiss(lesson)
    spent = None if cpu is None or cpu_before is None else cpu - cpu_before
    return Filling([moment - start for moment in moments], sent, spent, idle, spread)


def _patience(lesson: Lesson) -> float:
    """Seconds until a contender is given up: thrice what the server alone needs for seat after seat."""
    rate = lesson.rate or 100
    return 120 + 3 * len(lesson.room.seats) * lesson.image.stat().st_size * 8 / (rate * 1e6)


def _compare(place: Path, digest: str, seat: str) -> None:
    found = [path for path in place.rglob(IMAGE) if path.is_file()]
    if len(found) != 1:
        raise LessonError(f"{seat}: {len(found)} files named {IMAGE} instead of one")
    with found[0].open("rb") as image:
        if hashlib.file_digest(image, "sha256").hexdigest() != digest:
            raise LessonError(f"{seat}: the image differs from the repository's (SHA-256)")
