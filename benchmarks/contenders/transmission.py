"""transmission-daemon as it comes, but for the remote control, which nobody uses: one daemon an image."""

import json
from pathlib import Path
from shutil import copy
from typing import ClassVar

from benchmarks.arrivals import Fetch
from benchmarks.contenders import tracked
from benchmarks.lesson import Contender, Image, Lesson
from benchmarks.room import Host

_PORT = 51413
_Settings = dict[str, str | bool | int]


class Transmission(Contender):
    name = "transmission"
    programs: ClassVar = {"transmission-daemon": "transmission-daemon", **tracked.PROGRAMS}

    def publish(self, lesson: Lesson) -> None:
        tracked.publish(lesson)
        repository = lesson.room.repository
        for image in lesson.images:
            configuration = _configure(lesson, repository, image, {"download-dir": str(lesson.shelf)})
            lesson.start(repository, _daemon(configuration))
        tracked.until_seeded(lesson)

    def fetch(self, lesson: Lesson, seat: Host, image: Image) -> Fetch:
        bell, ring = lesson.hang_bell(seat, image)
        settings: _Settings = {
            "download-dir": str(lesson.place(seat)),
            "script-torrent-done-enabled": True,
            "script-torrent-done-filename": str(ring),
        }
        return Fetch(seat, lesson.start(seat, _daemon(_configure(lesson, seat, image, settings))), bell)


def _daemon(configuration: Path) -> list[str | Path]:
    return ["transmission-daemon", "--foreground", "--config-dir", configuration]


def _configure(lesson: Lesson, host: Host, image: Image, settings: _Settings) -> Path:
    """A configuration directory that has the torrent already, so that the daemon starts it when it starts."""
    configuration = lesson.folder / f"{host.name}.{image.name}.transmission"
    (configuration / "torrents").mkdir(parents=True)
    own: _Settings = {"peer-port": _PORT + lesson.images.index(image), "rpc-enabled": False}
    (configuration / "settings.json").write_text(json.dumps(settings | own))
    copy(tracked.torrent_of(lesson, image), configuration / "torrents")
    return configuration
