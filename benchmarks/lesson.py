"""One contender fills one room once: what a contender has to do, and how its work is timed and checked."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any, ClassVar, Protocol

from benchmarks.arrivals import Arrivals, Fetch, LessonError
from benchmarks.meter import CpuMeter, Ticks
from benchmarks.port import TCP_HEADERS, Traffic
from benchmarks.room import Host, Room
from benchmarks.scenario import SLOW_PORT, Role
from benchmarks.setting import Setting, touch_memory


@dataclass(frozen=True)
class Image:
    """An image in the repository, and the SHA-256 that every copy of it must have."""

    path: Path
    digest: str

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class Lesson:
    """The room, the images in the repository and the folder for everybody's files."""

    room: Room
    setting: Setting
    images: Sequence[Image]
    folder: Path

    @property
    def shelf(self) -> Path:
        """The repository's folder of images."""
        return self.images[0].path.parent

    @property
    def wanted(self) -> Sequence[Image]:
        """What the seats fetch while the clock runs."""
        return self.images[len(self.images) - self.setting.scenario.images :]

    @property
    def earlier(self) -> Sequence[Image]:
        """What they have fetched before."""
        return self.images[: len(self.images) - self.setting.scenario.images]

    def seats(self, *roles: Role) -> list[Host]:
        return [seat for seat, role in zip(self.room.seats, self.setting.roles, strict=True) if role in roles]

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

    def hang_bell(self, seat: Host, image: Image) -> tuple[Path, Path]:
        """A FIFO and a script that writes to it, for programs that run a command after a download."""
        bell = self.folder / f"{seat.name}.{image.name}.bell"
        script = bell.with_suffix(".ring")
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
                    f"{what}: not so after {patience:.0f} s{self.last_words(self.room.repository)}"
                )
            time.sleep(0.05)

    def last_words(self, host: Host) -> str:
        log = self.log(host)
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        spoken = [line.strip() for line in lines if line.strip()]
        return f": {spoken[-1]}" if spoken else ""


class Contender(Protocol):
    """A way to fill a room. Whatever it starts in the room's namespaces ends with the room."""

    name: ClassVar[str]
    programs: ClassVar[Mapping[str, str]]
    """Each program it needs, and that program's Debian package."""
    headers: ClassVar[int] = TCP_HEADERS
    """Bytes of each frame that are not payload."""

    def why_not(self, setting: Setting) -> str | None:
        """Why it cannot take part here, or None if it can."""
        missing = [package for program, package in self.programs.items() if which(program) is None]
        return f"apt-get install {' '.join(dict.fromkeys(missing))}" if missing else None

    def publish(self, lesson: Lesson) -> None:
        """Before the clock starts: hash, serve, and return when the first client would be served at once."""
        ...

    def fetch(self, lesson: Lesson, seat: Host, image: Image) -> Fetch:
        """Start to fetch the image into the seat's place, under the image's name, and return at once."""
        ...

    def dismiss(self, lesson: Lesson, seat: Host) -> None:
        """After the last arrival: end properly what must not just be killed on a seat that has its images."""
        return None


@dataclass(frozen=True)
class Filling:
    """What was measured. Seconds are from the common start to each ordinary seat's arrival."""

    seconds: list[float]
    late_seconds: list[float]
    """From the own start of each seat that came late."""
    sent: Traffic
    payload_sent: int
    payload_inward: list[int]
    """Over each room's uplink, where there are some, down to its seats."""
    payload_received: int
    """By all seats together, where there are uplinks."""
    cpu_seconds: float | None
    idle: float
    start_spread: float
    """Between the first seat's start and the last one's: what starting N programs one by one costs."""


@dataclass(frozen=True)
class _Reading:
    """All meters at one moment."""

    ticks: Ticks
    cpu: float | None
    sent: Traffic
    inward: list[Traffic]
    received: list[Traffic]

    @classmethod
    def now(cls, room: Room, meter: CpuMeter) -> _Reading:
        ticks, cpu = Ticks.now(), meter.seconds()
        inward = [uplink.inward.traffic() for uplink in room.uplinks]
        sent = room.repository.ports[0].traffic()
        # After the others: each port takes a process and some milliseconds.
        received = [seat.ports[1].traffic() for seat in room.seats if room.uplinks]
        return cls(ticks, cpu, sent, inward, received)


_NOTHING = nullcontext()


def fill(
    contender: Contender,
    lesson: Lesson,
    meter: CpuMeter,
    meanwhile: AbstractContextManager[object] = _NOTHING,
) -> Filling:
    """Let one contender fill the room; raise LessonError unless every image is whole and right.

    `meanwhile` is entered from the common start to the last arrival.
    """
    _set_rates(lesson)
    contender.publish(lesson)
    _warm(contender, lesson)
    touch_memory(lesson.setting.space)
    before = _Reading.now(lesson.room, meter)
    with meanwhile:
        seconds, late_seconds, spread = _time(contender, lesson)
        after = _Reading.now(lesson.room, meter)
    arrived = lesson.seats(Role.ORDINARY, Role.LATE)
    # Before anything is killed: whoever rings the bell with data still in memory only is found out here.
    for seat in arrived:
        for image in lesson.images:
            compare(lesson.place(seat), image, seat.name)
    for seat in arrived:
        contender.dismiss(lesson, seat)
    sent = after.sent - before.sent

    def payloads(later: Sequence[Traffic], earlier: Sequence[Traffic]) -> list[int]:
        return [(end - start).payload(contender.headers) for end, start in zip(later, earlier, strict=True)]

    return Filling(
        seconds,
        late_seconds,
        sent,
        sent.payload(contender.headers),
        payloads(after.inward, before.inward),
        sum(payloads(after.received, before.received)),
        None if after.cpu is None or before.cpu is None else after.cpu - before.cpu,
        after.ticks.idle_since(before.ticks),
        spread,
    )


def _set_rates(lesson: Lesson) -> None:
    lesson.room.repository.set_rate(lesson.setting.repository_rate)
    for seat in lesson.seats(Role.SLOW):
        seat.set_rate(SLOW_PORT)
    if lesson.setting.scenario.loss:
        for seat in lesson.room.seats:
            seat.lose(lesson.setting.scenario.loss)


def _warm(contender: Contender, lesson: Lesson) -> None:
    """Let all seats have what they are to have before the clock starts."""
    if lesson.earlier:
        with Arrivals(lesson.last_words) as arrivals:
            _begin(contender, lesson, arrivals, lesson.room.seats, lesson.earlier)
            arrivals.watch_for(lesson.room.seats, time.monotonic() + lesson.setting.patience)


def _time(contender: Contender, lesson: Lesson) -> tuple[list[float], list[float], float]:
    """The seconds of the ordinary seats and of those that come late, and the spread of the common start."""
    late, victims = lesson.seats(Role.LATE), lesson.seats(Role.VICTIM)
    ordinary = lesson.seats(Role.ORDINARY)
    with Arrivals(lesson.last_words) as arrivals:
        start = second_start = time.monotonic()
        _begin(contender, lesson, arrivals, lesson.seats(*set(Role) - {Role.LATE}), lesson.wanted)
        spread = time.monotonic() - start
        if (late or victims) and lesson.setting.limit is not None:
            arrivals.watch(start + lesson.setting.limit / 2)
            second_start = time.monotonic()
            _begin(contender, lesson, arrivals, late, lesson.wanted)
            for victim in victims:
                arrivals.forget(victim)
                victim.crash()
        moments = arrivals.watch_for([*ordinary, *late], start + lesson.setting.patience)
    punctual, tardy = moments[: len(ordinary)], moments[len(ordinary) :]
    return [moment - start for moment in punctual], [moment - second_start for moment in tardy], spread


def _begin(
    contender: Contender, lesson: Lesson, arrivals: Arrivals, seats: Iterable[Host], images: Iterable[Image]
) -> None:
    for seat in seats:
        for image in images:
            arrivals.expect(contender.fetch(lesson, seat, image))


def compare(place: Path, image: Image, seat: str) -> None:
    found = [path for path in place.rglob(image.name) if path.is_file()]
    if len(found) != 1:
        raise LessonError(f"{seat}: {len(found)} files named {image.name} instead of one")
    with found[0].open("rb") as copy:
        if hashlib.file_digest(copy, "sha256").hexdigest() != image.digest:
            raise LessonError(f"{seat}: {image.name} differs from the repository's (SHA-256)")
