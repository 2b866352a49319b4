"""ogtorrent itself, by the commands that a laboratory would use."""

import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from benchmarks.lesson import IMAGE, Contender, Fetch, Lesson
from benchmarks.room import Host

_PROJECT = Path(__file__).parents[2]
_PORT = 6969
# `env` rather than our own environment: the seat's working directory is not the project's.
_OGTORRENT = ["env", f"PYTHONPATH={_PROJECT}", sys.executable, "-m", "ogtorrent"]


class Ogtorrent(Contender):
    name = "ogtorrent"
    programs: ClassVar = {"curl": "curl"}

    def why_not(self) -> str | None:
        trial = subprocess.run([*_OGTORRENT, "--help"], capture_output=True, text=True, check=False)
        if trial.returncode:
            return f"python -m ogtorrent does not run yet: {trial.stderr.strip().splitlines()[-1]}"
        return super().why_not()

    def publish(self, lesson: Lesson) -> None:
        repository = lesson.room.repository
        root = lesson.image.parent
        lesson.run(repository, [*_OGTORRENT, "publish", lesson.image])
        lesson.start(repository, [*_OGTORRENT, "serve", root, "--listen", f"0.0.0.0:{_PORT}"])
        site = f"http://{repository.address}:{_PORT}"

        def ready() -> bool:
            health = repository.run(["curl", "-fsS", f"{site}/health"], check=False)
            entry = repository.run(["curl", "-fsS", f"{site}/catalogue/{IMAGE}"], check=False)
            if health.returncode or entry.returncode:
                return False
            state: object = json.loads(entry.stdout)["state"]
            return state == "ready"

        lesson.until(ready, "ogtorrent serves the image")

    def fetch(self, lesson: Lesson, seat: Host) -> Fetch:
        wanted = [lesson.room.repository.address, "/", IMAGE]
        cache: list[str | Path] = ["--cache", lesson.place(seat), "--session", "peer:600", "--json"]
        return Fetch(seat, lesson.start(seat, [*_OGTORRENT, "update-cache", *wanted, *cache]))

    def dismiss(self, lesson: Lesson) -> None:
        """End the seeders, which live on in the background after update-cache."""
        for seat in lesson.room.seats:
            lesson.run(seat, [*_OGTORRENT, "cache", "stop", "--cache", lesson.place(seat)])
