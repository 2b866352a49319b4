"""Enhanced CTorrent, the client that OpenGnsys puts on its PCs today, with the options it gives it."""

from pathlib import Path
from typing import ClassVar

from benchmarks.contenders import tracked
from benchmarks.lesson import IMAGE, Contender, Fetch, Lesson
from benchmarks.room import Host

_CACHE = ["-C", "100"]


class Ctorrent(Contender):
    name = "ctorrent"
    programs: ClassVar = {"ctorrent": "ctorrent", **tracked.PROGRAMS}

    def publish(self, lesson: Lesson) -> None:
        torrent = tracked.publish(lesson)
        # -f: seed without hashing the image first
        lesson.start(lesson.room.repository, ["ctorrent", "-f", *_CACHE, "-s", lesson.image, torrent])
        tracked.until_seeded(lesson)

    def fetch(self, lesson: Lesson, seat: Host) -> Fetch:
        bell, ring = lesson.hang_bell(seat)
        place = lesson.place(seat)
        # The bitfield stands beside the torrent by default, which the seats share here.
        files: list[str | Path] = ["-s", place / IMAGE, "-b", place / "bitfield"]
        argv = ["ctorrent", *_CACHE, *files, "-X", ring, tracked.torrent_of(lesson)]
        return Fetch(seat, lesson.start(seat, argv), bell)
