"""Lesson after lesson: every contender's turns on the same images, each in a room of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from benchmarks.arrivals import LessonError
from benchmarks.lesson import Contender, Filling, Image, Lesson, fill
from benchmarks.meter import CpuMeter
from benchmarks.port import RoomError
from benchmarks.report import Outcome
from benchmarks.room import Room
from benchmarks.setting import Setting, memory_for
from benchmarks.trace import Trace

_CHUNK = 16 << 20


def hold_lessons(
    contenders: Sequence[Contender],
    setting: Setting,
    runs: int,
    site: Path | None,
    say: Callable[[str], None],
    wants_trace: bool = False,
) -> list[Outcome]:
    """Let the contenders take turns, so that what changes on the machine meanwhile meets all of them.

    `site` is where the files go; None is for memory, if they fit.
    """
    outcomes = [Outcome(contender, contender.why_not(setting)) for contender in contenders]
    with tempfile.TemporaryDirectory(prefix="classroom-", dir=site or memory_for(setting.space)) as folder:
        shelf = Path(folder) / "repository"
        shelf.mkdir()
        images = [make_image(shelf / name, setting.size) for name in setting.images]
        for turn in range(runs):
            for outcome in outcomes:
                if outcome.absence is None:
                    say(f"{outcome.contender.name}, run {turn + 1} of {runs}")
                    _take_turn(outcome, setting, images, say if wants_trace else None)
    return outcomes


def _take_turn(
    outcome: Outcome, setting: Setting, images: Sequence[Image], tell_trace: Callable[[str], None] | None
) -> None:
    try:
        outcome.fillings.append(_hold_lesson(outcome.contender, setting, images, tell_trace))
    except (LessonError, RoomError, OSError, subprocess.SubprocessError, ValueError) as failure:
        # Whatever a contender may do, and whatever it may answer: the others still have their turns.
        outcome.failures.append(str(failure) or type(failure).__name__)


def _hold_lesson(
    contender: Contender, setting: Setting, images: Sequence[Image], tell_trace: Callable[[str], None] | None
) -> Filling:
    """Let a contender fill a room of its own, in a folder of its own."""
    folder = images[0].path.parents[1] / contender.name
    shelf = folder / "repository"
    shelf.mkdir(parents=True)
    try:
        own_images = [Image(shelf / image.name, image.digest) for image in images]
        for own, image in zip(own_images, images, strict=True):
            own.path.hardlink_to(image.path)
        with CpuMeter() as meter, Room(setting.clients, setting.rate, setting.scenario.rooms) as room:
            lesson = Lesson(room, setting, own_images, folder)
            trace = Trace(room) if tell_trace else None
            filling = fill(contender, lesson, meter, trace or nullcontext())
            if trace and tell_trace:
                tell_trace(trace.text())
            return filling
    finally:
        shutil.rmtree(folder)


def make_image(path: Path, size: int) -> Image:
    """Write incompressible bytes."""
    hashed = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, _CHUNK):
            chunk = os.urandom(min(_CHUNK, size - start))
            hashed.update(chunk)
            file.write(chunk)
    return Image(path, hashed.hexdigest())
