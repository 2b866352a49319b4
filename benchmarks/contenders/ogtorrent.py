"""ogtorrent itself, by the commands that a laboratory would use."""

import compileall
import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from benchmarks.arrivals import Fetch
from benchmarks.lesson import Contender, Image, Lesson
from benchmarks.room import Host
from benchmarks.setting import Setting

_PROJECT = Path(__file__).parents[2]
_PORT = 6969
# `env` rather than our own environment: the seat's working directory is not the project's.
OGTORRENT = ["env", f"PYTHONPATH={_PROJECT}", sys.executable, "-m", "ogtorrent"]


class Ogtorrent(Contender):
    name = "ogtorrent"
    programs: ClassVar = {"curl": "curl"}
    options: ClassVar[tuple[str, ...]] = ("--session", "peer:600")

    def why_not(self, setting: Setting) -> str | None:
        # As an installer does; an environment may forbid Python to do it when a module is first loaded.
        for package in ("ogtorrent", "tracker"):
            compileall.compile_dir(_PROJECT / package, quiet=1)
        trial = subprocess.run([*OGTORRENT, "--help"], capture_output=True, text=True, check=False)
        if trial.returncode:
            return f"python -m ogtorrent does not run yet: {trial.stderr.strip().splitlines()[-1]}"
        return super().why_not(setting)

    def publish(self, lesson: Lesson) -> None:
        repository = lesson.room.repository
        lesson.run(repository, [*OGTORRENT, "publish", *(image.path for image in lesson.images)])
        lesson.start(repository, [*OGTORRENT, "serve", lesson.shelf, "--listen", f"0.0.0.0:{_PORT}"])
        site = f"http://{repository.address}:{_PORT}"

        def ready(image: Image) -> bool:
            health = repository.run(["curl", "-fsS", f"{site}/health"], check=False)
            entry = repository.run(["curl", "-fsS", f"{site}/catalogue/{image.name}"], check=False)
            if health.returncode or entry.returncode:
                return False
            state: object = json.loads(entry.stdout)["state"]
            return state == "ready"

        lesson.until(lambda: all(map(ready, lesson.images)), "ogtorrent serves the images")

    def fetch(self, lesson: Lesson, seat: Host, image: Image) -> Fetch:
        wanted = [lesson.room.repository.address, "/", image.name]
        cache: list[str | Path] = ["--cache", lesson.place(seat), *self.options, "--json"]
        return Fetch(seat, lesson.start(seat, [*OGTORRENT, "update-cache", *wanted, *cache]))

    def dismiss(self, lesson: Lesson, seat: Host) -> None:
        """End the seeder, which lives on in the background after update-cache."""
        lesson.run(seat, [*OGTORRENT, "cache", "stop", "--cache", lesson.place(seat)])
