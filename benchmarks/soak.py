"""Rooms that fill again and again while seats die and join: does anything grow?

python -m benchmarks.soak --seconds 600

In each round every seat takes the images again; one seat is killed in mid-fill, and joins again later; every
few rounds the repository publishes a new version. What lives all the time, `serve` and the seeders of the
seats that are never killed, is looked at once a minute.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.contenders.ogtorrent import OGTORRENT
from benchmarks.room import Host, Room, why_no_room

IMAGES = ("aula1/windows.img", "aula2/linux.img")
VERSION = 4  # rounds that a version of an image lives
MEBIBYTE = 1 << 20
PATIENCE = 120.0  # seconds for a fill, and for a publication
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True)
class Look:
    """What a kind of process needs at a moment; of several, the one that needs most."""

    memory: float  # MiB that no file stands for
    files: int  # descriptors
    threads: int


@dataclass(frozen=True)
class Minute:
    second: int
    fills: int  # so far
    deaths: int
    serve: Look
    seeders: Look
    processes: int  # in the whole room, between two rounds


class Soak:
    """A room, its repository and its seats; the last seat is the one that dies."""

    def __init__(self, room: Room, folder: Path, size: int, seed: int) -> None:
        self.room, self._folder, self._size = room, folder, size
        self._dice = random.Random(seed)
        self.fills = self.deaths = self._rounds = 0
        self._images = folder / "images"
        self._publish()
        self._serve = room.repository.popen([*OGTORRENT, "serve", self._images], **QUIET)
        # As services: the processes that live longest.
        self._seeders = [self._seed(seat) for seat in room.seats[:-1]]

    def run_round(self) -> None:
        """Every seat takes both images anew. Raises ClickException where one fails."""
        self._rounds += 1
        if self._rounds % VERSION == 0:
            self._publish()
        self._wait_for_repository()
        *steady, victim = self.room.seats
        for seat in self.room.seats:
            shutil.rmtree(self._cache(seat) / "images", ignore_errors=True)
        doomed = [self._update(victim, image) for image in IMAGES]
        fills = [self._update(seat, image) for seat in steady for image in IMAGES]
        time.sleep(self._dice.uniform(0.0, 1.5))
        victim.crash()
        self.deaths += 1
        for fill in doomed:
            fill.wait()
        fills += [self._update(victim, image) for image in IMAGES]
        for fill in fills:
            if code := fill.wait(PATIENCE):
                raise click.ClickException(f"round {self._rounds}: a fill ended with {code}")
        self.fills += len(fills)
        victim.crash()  # its seeder would be one more process between two rounds
        for host in self.room.seats:
            host.children[:] = [child for child in host.children if child.poll() is None]

    def look(self, start: float) -> Minute:
        return Minute(
            round(time.monotonic() - start),
            self.fills,
            self.deaths,
            _look([self._serve.pid]),
            _look([seeder.pid for seeder in self._seeders]),
            sum(1 for _ in self._processes()),
        )

    def _processes(self) -> Iterator[int]:
        spaces = {Path("/run/netns", host.namespace).stat().st_ino for host in self._hosts()}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "ns/net").stat().st_ino in spaces:
                    yield int(process.name)
            except OSError:  # it has just ended
                continue

    def _hosts(self) -> list[Host]:
        return [self.room.repository, *self.room.seats]

    def _publish(self) -> None:
        for image in IMAGES:
            place = self._images / image
            place.parent.mkdir(parents=True, exist_ok=True)
            aside = place.with_name(f".{place.name}.new")
            aside.write_bytes(self._dice.randbytes(self._size))
            aside.rename(place)

    def _wait_for_repository(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for image in IMAGES:
            entry = ["curl", "-fsS", f"http://{self.room.repository.address}:6969/catalogue/{image}"]
            written = (self._images / image).stat().st_mtime_ns
            while not self._is_ready(self.room.repository.run(entry, check=False).stdout, image, written):
                if time.monotonic() > deadline:
                    raise click.ClickException("the repository does not offer its images")
                time.sleep(0.1)

    def _is_ready(self, entry: str, image: str, written: int) -> bool:
        torrent = self._images / f"{image}.torrent"
        fresh = torrent.exists() and torrent.stat().st_mtime_ns > written
        return fresh and bool(entry) and json.loads(entry).get("state") == "ready"

    def _cache(self, seat: Host) -> Path:
        return self._folder / seat.name

    def _seed(self, seat: Host) -> subprocess.Popen[Any]:
        self._cache(seat).mkdir(exist_ok=True)
        return seat.popen([*OGTORRENT, "cache", "seed", "--cache", self._cache(seat)], **QUIET)

    def _update(self, seat: Host, image: str) -> subprocess.Popen[Any]:
        self._cache(seat).mkdir(exist_ok=True)
        subdirectory, _, name = image.rpartition("/")
        wanted = [self.room.repository.address, subdirectory, name, "--cache", str(self._cache(seat))]
        return seat.popen([*OGTORRENT, "update-cache", *wanted], **QUIET)


def soak(room: Room, folder: Path, seconds: float, every: float, size: int, seed: int) -> Iterator[Minute]:
    """A look about every `every` seconds, between two rounds."""
    soaking = Soak(room, folder, size, seed)
    start = time.monotonic()
    soaking.run_round()  # what a process takes once does not count as growth
    due = 0.0
    while time.monotonic() - start < seconds:
        if time.monotonic() - start >= due:
            yield soaking.look(start)
            due += every
        soaking.run_round()
    yield soaking.look(start)


def _look(pids: list[int]) -> Look:
    def status(pid: int, field: str) -> int:
        return int(Path(f"/proc/{pid}/status").read_text().partition(f"{field}:")[2].split()[0])

    return Look(
        round(max(status(pid, "RssAnon") for pid in pids) / 1024, 1),
        max(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),  # noqa: PTH208 - names only
        max(status(pid, "Threads") for pid in pids),
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", default=600.0, show_default=True, help="How long.")
@click.option("--every", default=60.0, show_default=True, help="Seconds between looks.")
@click.option("--clients", default=6, show_default=True, type=click.IntRange(2, 30), help="Seats.")
@click.option("--size", default=8, show_default=True, type=click.IntRange(1), help="MiB of an image.")
@click.option("--rate", default=100.0, show_default=True, help="Mbit/s of a port.")
@click.option("--seed", default=1, show_default=True, help="Of the dice.")
@click.option(
    "--directory", type=click.Path(exists=True, file_okay=False, path_type=Path), default="/dev/shm"
)
def main(
    seconds: float, every: float, clients: int, size: int, rate: float, seed: int, directory: Path
) -> None:
    """Fill a room again and again, and print what its processes need, as a line of JSON a minute."""
    if reason := why_no_room():
        raise click.ClickException(reason)
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=directory))
    try:
        with Room(clients, rate) as room:
            for minute in soak(room, folder, seconds, every, size * MEBIBYTE, seed):
                click.echo(json.dumps(asdict(minute)))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
