"""aria2 as it comes, with DHT, LPD and PEX as they come (nothing of it leaves the room)."""

from pathlib import Path
from typing import ClassVar

from benchmarks.arrivals import Fetch
from benchmarks.contenders import tracked
from benchmarks.lesson import Contender, Image, Lesson
from benchmarks.room import Host


class Aria2(Contender):
    name = "aria2"
    programs: ClassVar = {"aria2c": "aria2", **tracked.PROGRAMS}

    def publish(self, lesson: Lesson) -> None:
        tracked.publish(lesson)
        for image in lesson.images:
            torrent = tracked.torrent_of(lesson, image)
            seeding = [*_aria2(lesson.shelf), "--bt-seed-unverified=true", torrent]
            lesson.start(lesson.room.repository, seeding)
        tracked.until_seeded(lesson)

    def fetch(self, lesson: Lesson, seat: Host, image: Image) -> Fetch:
        bell, ring = lesson.hang_bell(seat, image)
        hook = f"--on-bt-download-complete={ring}"
        argv = [*_aria2(lesson.place(seat)), hook, tracked.torrent_of(lesson, image)]
        return Fetch(seat, lesson.start(seat, argv), bell)


def _aria2(folder: Path) -> list[str | Path]:
    """A client that saves into `folder` and seeds without end."""
    quiet = ["--no-conf", "--summary-interval=0", "--show-console-readout=false"]
    return ["aria2c", *quiet, f"--dir={folder}", "--file-allocation=none", "--seed-ratio=0.0"]
