"""The process that serves the room from a disk, one a disk, beside the seeder of the cache."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from ogtorrent.cache.control import Home
from ogtorrent.cache.process import launch, log_to_stderr
from ogtorrent.errors import CannotJoin
from ogtorrent.layout import feeder_lock, feeder_locks
from ogtorrent.words import words

Ready = Callable[[str], None]  # told `HOST:PORT`

START = 60.0  # seconds that a slow PC may take; a server that ends meanwhile is noticed at once


def address(cache: Path, disk: Path, serve: Callable[[Ready], None]) -> str:
    """`HOST:PORT` of the process that serves a disk: the one that runs, or a new one that does `serve`.

    Call it before any thread is started: it may fork. Raises CannotJoin.
    """
    place = feeder_lock(cache, disk)
    lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def work() -> None:
        log_to_stderr()
        _write(lock)  # `stop` may come before it serves
        serve(lambda told: _write(lock, told))

    try:
        pid = 0
        if not _is_held(lock):
            os.ftruncate(lock, 0)
            with Home(cache) as home:
                log = home.log
            pid = launch(work, "ogtorrent-feed", lock, log)
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            told = os.pread(lock, 4096, 0).decode().split()
            if len(told) == 2:
                return told[1]
            if pid and os.waitpid(pid, os.WNOHANG)[0]:
                break
            time.sleep(0.01)
    finally:
        os.close(lock)
    raise CannotJoin(
        words("the room from the disk {path}", path=disk),
        words("its server does not start"),
        words("See {log} and run this again.", log=log if pid else place),
    )


def stop(cache: Path) -> bool:
    """End all of a cache; False where none runs."""
    found = False
    for lock in feeder_locks(cache):
        with contextlib.suppress(OSError, ValueError), lock.open("rb+") as file:
            pid = _holder(file.fileno())
            if pid is not None:
                os.kill(pid, signal.SIGTERM)
                fcntl.flock(file, fcntl.LOCK_EX)  # until it has ended
                found = True
    return found


def _holder(lock: int) -> int | None:
    """The process that has the lock; one that has just begun takes a moment to say so."""
    deadline = time.monotonic() + START
    while _is_held(lock) and time.monotonic() < deadline:
        told = os.pread(lock, 4096, 0).split()
        if told:
            return int(told[0])
        time.sleep(0.01)
    return None


def _write(lock: int, told: str = "") -> None:
    os.pwrite(lock, f"{os.getpid()} {told}\n".encode(), 0)


def _is_held(lock: int) -> bool:
    """Whether another process has the lock; where none has, we do."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
