"""Enhanced CTorrent, the client that OpenGnsys puts on its PCs today, with the options it gives it."""

from pathlib import Path
from typing import ClassVar

from benchmarks.arrivals import Fetch
from benchmarks.contenders import tracked
from benchmarks.lesson import Contender, Image, Lesson
from benchmarks.room import Host

_CACHE = ["-C", "100"]


class Ctorrent(Contender):
    name = "ctorrent"
    programs: ClassVar = {"ctorrent": "ctorrent", **tracked.PROGRAMS}

    def publish(self, lesson: Lesson) -> None:
        tracked.publish(lesson)
        for image in lesson.images:
            torrent = tracked.torrent_of(lesson, image)
            # -f: seed without hashing the image first
            lesson.start(lesson.room.repository, ["ctorrent", "-f", *_CACHE, "-s", image.path, torrent])
        tracked.until_seeded(lesson)

    def fetch(self, lesson: Lesson, seat: Host, image: Image) -> Fetch:
        bell, ring = lesson.hang_bell(seat, image)
        place = lesson.place(seat)
        # The bitfield stands beside the torrent by default, which the seats share here.
        files: list[str | Path] = ["-s", place / image.name, "-b", place / f"{image.name}.bitfield"]
        argv = ["ctorrent", *_CACHE, *files, "-X", ring, tracked.torrent_of(lesson, image)]
        return Fetch(seat, lesson.start(seat, argv), bell)
