"""Odd clocks, odd names and a great many images, staged in a room; each tells its row of docs/faults.md."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.room import Room

from .faults import seen, stands, tell
from .laboratory import (
    MEBIBYTE,
    OGTORRENT,
    Repository,
    Seat,
    skip_without_room,
    until,
    write_random,
)

pytestmark = pytest.mark.room

IMAGE = "aula1/windows.img"
YEAR = 365 * 24 * 3600  # seconds
MANY = 1000
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl", gcc="gcc")


def test_a_clock_is_set_back_a_year(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the repository and of a seat, in mid-fill; the kernel's monotonic clock goes on, as it does."""
    size, clock, library = 16 * MEBIBYTE, tmp_path / "clock", tmp_path / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O", "-o", library, HERE / "clock.c"], check=True)
    clock.write_bytes(bytes(8))
    with Room(seats=2, rate=20) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        seats = [Seat.make(host, tmp_path) for host in room.seats]
        old = write_random(repository.images / IMAGE, size, seed=1)
        monkeypatch.setenv("LD_PRELOAD", str(library))
        monkeypatch.setenv("CLOCK_AHEAD", str(clock))
        repository.serve()
        first = repository.until_ready(IMAGE)
        updates = [seat.update(repository, IMAGE) for seat in seats]
        until(lambda: updates[0].has_begun(0.3), "the fill is in the middle")
        with clock.open("r+b") as file:
            file.write(struct.pack("=q", -YEAR))
        assert int(room.repository.run(["date", "+%s"]).stdout) < time.time() - YEAR + 60
        seconds = max(update.succeeds()["seconds"] for update in updates)
        (became,) = {stands(seat.place(IMAGE), **{"the old": old}) for seat in seats}

        # A version that is a year older than the one it replaces, by its file's time.
        new = write_random(repository.images / "aula1" / ".new", size, seed=2)
        os.utime(repository.images / "aula1" / ".new", (time.time() - YEAR,) * 2)
        (repository.images / "aula1" / ".new").rename(repository.images / IMAGE)
        repository.until_ready(IMAGE, otherwise_than=first)
        for again in [seat.update(repository, IMAGE) for seat in seats]:
            again.succeeds()
        (after,) = {stands(seat.place(IMAGE), **{"the new": new}) for seat in seats}
        for page in ("/", "/metrics", "/api/v1/swarms"):
            assert repository.get(page)
        assert "Traceback" not in (tmp_path / "repository" / "serve.log").read_text()
        (told,) = {seen(update) for update in updates}
    tell(
        "a clock set back a year",
        "in mid-fill, on the server and on two seats; then a new version whose file is a year older than "
        "the old one’s",
        f"{told}; the next run exit 0",
        f"{became}; after the next run {after}",
        f"filled in {seconds:.1f} s",
    )


def test_a_cache_of_a_thousand_images(tmp_path: Path) -> None:
    with Room(seats=1) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        names = [f"aula{number // 100}/image{number}.img" for number in range(MANY)]
        digests = [write_random(repository.images / name, 64 * 1024, seed) for seed, name in enumerate(names)]
        before = time.monotonic()
        repository.publish(*names)
        published = time.monotonic() - before
        seat = Seat.make(room.seats[0], tmp_path)
        assert seat.cache is not None
        shutil.copytree(repository.images, seat.cache / "images")
        before = time.monotonic()
        repository.serve()
        served = time.monotonic() - before
        log = tmp_path / "seed.log"
        before = time.monotonic()
        with log.open("wb") as said:
            seeder = seat.host.popen([*OGTORRENT, "cache", "seed", "--cache", seat.cache], stderr=said)
        until(lambda: log.read_text().count(": seeding\n") == MANY, "all images are seeded", log=log)
        seeding = time.monotonic() - before
        until(lambda: _swarms_of(seat, repository) == MANY, "the tracker knows of them all")
        announced = time.monotonic() - before
        before = time.monotonic()
        update = seat.update(repository, names[0])
        assert update.succeeds()["fetched"] == 0
        looked = time.monotonic() - before
        # Another version of one of them.
        digests[0] = write_random(repository.images / names[0], 64 * 1024, seed=MANY)
        repository.until_ready(names[0], otherwise_than=repository.entry(names[0]).get("info_hash", ""))
        before = time.monotonic()
        rebuilt = seat.update(repository, names[0])
        rebuilt.succeeds()
        fetched = time.monotonic() - before
        memory = _mebibytes(seeder.pid), _mebibytes(repository.pid)
        stood = {stands(seat.place(name), it=digest) for name, digest in zip(names, digests, strict=True)}
        assert stood == {"it, whole"}
        seat.stop()
    tell(
        "a cache of a thousand images",
        f"{MANY} images of 64 KiB on a server and in a cache, all seeded by `cache seed`; update-cache of "
        "one that stands, and of one that was rebuilt",
        f"{seen(update)}, and {seen(rebuilt)}",
        "all whole",
        f"published in {published:.1f} s, serve up in {served:.1f} s with {memory[1]:.0f} MiB; the cache "
        f"seeds all after {seeding:.1f} s, told the tracker after {announced:.1f} s, {memory[0]:.0f} MiB; "
        f"update-cache {looked:.2f} s, of a rebuilt one {fetched:.2f} s",
    )


def test_names_in_spanish(tmp_path: Path) -> None:
    name = "Año 1º/imágenes de la sala ñandú (¡última!).img"
    with Room(seats=1) as room:
        repository = Repository(room.repository, tmp_path / "repositorio de España")
        digest = write_random(repository.images / name, MEBIBYTE, seed=1)
        repository.serve()
        seat = Seat.make(room.seats[0], tmp_path / "caché del aula")
        until(lambda: repository.torrent(name).exists(), "it is published")
        update = seat.update(repository, name)
        update.succeeds()
        tell(
            "a name in Spanish",
            f"`{name}`, in a cache whose path has a blank and an á",
            seen(update),
            stands(seat.place(name), it=digest),
            "",
        )


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    latin = os.fsdecode(b"ma\xf1ana.img")
    with Room(seats=1) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, MEBIBYTE, seed=1)
        write_random(repository.images / latin, MEBIBYTE, seed=2)
        repository.serve()
        repository.until_ready(IMAGE)
        log = tmp_path / "repository" / "serve.log"
        until(lambda: "is not UTF-8" in log.read_text(), "the server says why", log=log)
        seat, unnameable = (
            Seat.make(room.seats[0], tmp_path / folder) for folder in ("cache", os.fsdecode(b"cach\xe9"))
        )
        good, refused = seat.update(repository, IMAGE), seat.update(repository, latin)
        nowhere = unnameable.update(repository, IMAGE)
        for update in (good, refused, nowhere):
            update.process.wait(60)
        stood = stands(seat.place(IMAGE), it=digest), stands(seat.place(latin))
        tell(
            "a name whose bytes are no UTF-8",
            "of an image in the repository, beside one with a name that is; of a cache’s folder",
            f"the server’s log: the name is not UTF-8; for that image {seen(refused)}; for the other "
            f"{seen(good)}; in such a cache {seen(nowhere, tmp_path)}",
            f"{stood[1]}; of the other: {stood[0]}",
            "",
        )
        assert "Traceback" not in log.read_text()


def _swarms_of(seat: Seat, repository: Repository) -> int:
    """In how many swarms a seat is present."""
    swarms = json.loads(repository.get("/api/v1/swarms"))["swarms"]
    return sum(peer["address"] == seat.host.address for swarm in swarms for peer in swarm["seats"])


def _mebibytes(pid: int) -> float:
    """Of a process's memory, what no file stands for."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024
