"""transmission-daemon as it comes."""

import json
from pathlib import Path
from shutil import copy
from typing import ClassVar

from benchmarks.contenders import tracked
from benchmarks.lesson import Contender, Fetch, Lesson
from benchmarks.room import Host


class Transmission(Contender):
    name = "transmission"
    programs: ClassVar = {"transmission-daemon": "transmission-daemon", **tracked.PROGRAMS}

    def publish(self, lesson: Lesson) -> None:
        tracked.publish(lesson)
        repository = lesson.room.repository
        configuration = _configure(lesson, repository, {"download-dir": str(lesson.image.parent)})
        lesson.start(repository, _daemon(configuration))
        tracked.until_seeded(lesson)

    def fetch(self, lesson: Lesson, seat: Host) -> Fetch:
        bell, ring = lesson.hang_bell(seat)
        settings: dict[str, str | bool] = {
            "download-dir": str(lesson.place(seat)),
            "script-torrent-done-enabled": True,
            "script-torrent-done-filename": str(ring),
        }
        return Fetch(seat, lesson.start(seat, _daemon(_configure(lesson, seat, settings))), bell)


def _daemon(configuration: Path) -> list[str | Path]:
    return ["transmission-daemon", "--foreground", "--config-dir", configuration]


def _configure(lesson: Lesson, host: Host, settings: dict[str, str | bool]) -> Path:
    """A configuration directory that has the torrent already, so that the daemon starts it when it starts."""
    configuration = lesson.folder / f"{host.name}.transmission"
    (configuration / "torrents").mkdir(parents=True)
    (configuration / "settings.json").write_text(json.dumps(settings))
    copy(tracked.torrent_of(lesson), configuration / "torrents")
    return configuration
