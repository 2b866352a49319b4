"""What a laboratory has: a repository that serves, seats that fill their caches, and ways to ask both.

Everything runs as a user would run it, `python -m ogtorrent` in a host's network namespace, and is
judged from outside: by exit codes, by what stands on disk, by `--json` and by the server's answers.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from benchmarks.room import CARD, Host, why_no_room
from ogtorrent.layout import seeder_place

PROJECT = Path(__file__).parents[2]
# `env` rather than our own environment: nothing of the project may be found by the working directory.
OGTORRENT = ["env", f"PYTHONPATH={PROJECT}", sys.executable, "-m", "ogtorrent"]
MEBIBYTE = 1024 * 1024
TRACKER_PORT = 6969

Event = dict[str, Any]


def skip_without_room(**packages: str) -> None:
    """Skip the test where no room can be made, or a program (its Debian package) is missing."""
    reason = _why_no_room()
    missing = sorted({package for program, package in packages.items() if which(program) is None})
    if reason is None and missing:
        reason = f"programs are missing: apt-get install {' '.join(missing)}"
    if reason is not None:
        pytest.skip(reason)


_why_no_room = functools.cache(why_no_room)


def until(condition: Callable[[], bool], what: str, seconds: float = 60, log: Path | None = None) -> None:
    """Wait for a condition; fail, naming it and quoting the log, when it is not so in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:] if log is not None else ""
            pytest.fail(f"{what}: not so after {seconds:.0f} s. {said}")
        time.sleep(0.05)


def write_random(path: Path, size: int, seed: int) -> str:
    """Write `size` bytes that no compression shrinks, the same for the same seed; their SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = random.Random(seed).randbytes(size)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree(top: Path) -> dict[str, str]:
    """The SHA-256 of every file below a directory, by its path there."""
    return {str(path.relative_to(top)): sha256(path) for path in sorted(top.rglob("*")) if path.is_file()}


def stand(path: Path, digest: str | dict[str, str]) -> bool:
    """Whether exactly this file, or this tree of files, stands there."""
    if isinstance(digest, dict):
        return path.is_dir() and tree(path) == digest
    return path.is_file() and sha256(path) == digest


class Repository:
    """A folder of images on a host, and `ogtorrent serve` for it."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.images = folder / "images"
        self.images.mkdir(parents=True)
        self._said, self._log = folder / "serve.out", folder / "serve.log"

    def publish(self, *images: str) -> None:
        """Run `ogtorrent publish` for images of this repository."""
        paths = [self.images / image for image in images]
        self.host.run([*OGTORRENT, "publish", "--root", self.images, *paths])

    def torrent(self, image: str) -> Path:
        return self.images / f"{image}.torrent"

    def serve(self, *options: str) -> None:
        """Start the server and wait until seats may come."""
        with self._said.open("wb") as said, self._log.open("wb") as log:
            self._server = self.host.popen(
                [*OGTORRENT, "serve", self.images, *options], cwd="/", stdout=said, stderr=log
            )
        until(self._answers, "the server answers")

    @property
    def pid(self) -> int:
        return self._server.pid

    def until_ready(self, image: str, otherwise_than: str = "") -> str:
        """Wait until an image is published, as another version than one may be; its info-hash."""

        def ready() -> bool:
            entry = self.entry(image)
            return entry.get("state") == "ready" and entry["info_hash"] != otherwise_than

        until(ready, f"{image} is published", log=self._log)
        return str(self.entry(image)["info_hash"])

    def entry(self, image: str) -> Event:
        """What the catalogue says of an image."""
        answer: Event = json.loads(self.get(f"/catalogue/{image}"))
        return answer

    def clients(self, info_hash: str) -> dict[str, str]:
        """Whom the status page shows in an image's swarm: address, and `leeching` or `seeding`."""
        for swarm in json.loads(self.get("/api/v1/swarms"))["swarms"]:
            if swarm["info_hash"] == info_hash:
                return {seat["address"]: seat["status"] for seat in swarm["seats"] if seat["present"]}
        return {}

    def get(self, path: str, by: Host | None = None) -> str:
        """The server's answer to a host, as text; bytes that are none are escaped."""
        url = f"http://{self.host.address}:{TRACKER_PORT}{path}"
        answer = (by or self.host).run(["curl", "-sS", url], encoding="utf-8", errors="backslashreplace")
        return answer.stdout

    def cut_off_seed(self) -> None:
        """From now on this host reaches the room only from the tracker's port: its seed is alone.

        By rules of routing, for every kernel has those. What else is sent goes to a gateway that nobody
        is; a mere `blackhole` would not do, because to a socket that is bound to a device, as
        libtorrent's are, the kernel says of a destination without a route that it is on the link.
        """
        nobody = ["10.99.0.0/16", "via", "10.99.255.254", "dev", CARD, "onlink", "table", "100"]
        self.host.run(["ip", "route", "add", *nobody])
        only = ["ipproto", "tcp", "sport", str(TRACKER_PORT), "lookup", "main"]
        self.host.run(["ip", "rule", "add", "priority", "100", *only])
        self.host.run(["ip", "rule", "add", "priority", "101", "to", "10.99.0.0/16", "lookup", "100"])

    def _answers(self) -> bool:
        assert self._server.poll() is None, f"the server has ended: {self._log.read_text()}"
        return "announce http://" in self._said.read_text()


@dataclass
class Seat:
    """A PC and the directory that is its cache; None where it has a partition labelled CACHE."""

    host: Host
    folder: Path
    cache: Path | None

    @classmethod
    def make(cls, host: Host, folder: Path) -> Seat:
        """A seat whose cache is a directory of its own."""
        cache = folder / host.name / "cache"
        cache.mkdir(parents=True)
        return cls(host, cache.parent, cache)

    def update(self, server: Repository, image: str, *options: str, at: str = "") -> Update:
        """Start `ogtorrent update-cache` here; `at`: another port of the server, as `:PORT`."""
        subdirectory, _, name = image.rpartition("/")
        words = [
            server.host.address + at,
            subdirectory or "/",
            name,
            "--json",
            "--name",
            self.host.name,
            *options,
        ]
        if self.cache is not None:
            words += ["--cache", str(self.cache)]
        number = len(list(self.folder.glob("update-*.out")))
        said, log = self.folder / f"update-{number}.out", self.folder / f"update-{number}.log"
        with said.open("wb") as out, log.open("wb") as err:
            process = self.host.popen([*OGTORRENT, "update-cache", *words], cwd="/", stdout=out, stderr=err)
        return Update(process, said, log)

    def stop(self) -> None:
        """`ogtorrent cache stop`."""
        self.host.run([*OGTORRENT, "cache", "stop", "--cache", str(self.cache)])

    def place(self, image: str) -> Path:
        """Where an image of a bare folder named `images` stands in the cache."""
        assert self.cache is not None
        return self.cache / "images" / image

    def seeder(self) -> int:
        """The process of this cache's seeder: whoever holds the lock."""
        assert self.cache is not None
        lock = (seeder_place(self.cache) / "seeder.lock").stat()
        held = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
        # proc(5): number, FLOCK, ADVISORY, WRITE, process, device and inode, ...
        locks = map(str.split, Path("/proc/locks").read_text().splitlines())
        (pid,) = [int(fields[4]) for fields in locks if fields[1] == "FLOCK" and fields[5] == held]
        return pid


@dataclass
class Update:
    """An `update-cache` under way or over."""

    process: subprocess.Popen[bytes]
    said: Path
    log: Path

    def events(self, kind: str) -> list[Event]:
        whole_lines = self.said.read_bytes().rpartition(b"\n")[0].splitlines()
        return [event for event in map(json.loads, whole_lines) if event["event"] == kind]

    def has_begun(self, part: float) -> bool:
        """Whether at least this part of the image is there; fails where the whole is."""
        assert self.process.poll() is None, f"it ended before: {self.said.read_text()}{self.log.read_text()}"
        return any(event["done"] >= part * event["size"] for event in self.events("progress"))

    def succeeds(self, seconds: float = 180) -> Event:
        """Wait for its end, which is to be good; its last event."""
        code = self.process.wait(seconds)
        assert code == 0, f"exit {code}: {self.log.read_text()}"
        (done,) = self.events("done")
        return done

    def fails(self, code: int, seconds: float = 180) -> str:
        """Wait for its end with this exit code and no traceback; what it told the user."""
        told = self.process.wait(seconds), self.log.read_text()
        assert told[0] == code, f"exit {told[0]} instead of {code}: {told[1]}"
        assert told[1].startswith("ogtorrent: "), told[1]
        assert "Traceback" not in told[1]
        (failed,) = self.events("failed")
        assert (failed["exit_code"], f"ogtorrent: {failed['message']}\n") == told
        return told[1]
