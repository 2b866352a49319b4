"""When a seat has arrived: by exits and bells of real processes, without a room."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.arrivals import Arrivals, Fetch, LessonError
from benchmarks.port import Port
from benchmarks.room import Host


@pytest.fixture
def arrivals() -> Iterator[Arrivals]:
    with Arrivals(lambda seat: f": the last words of {seat.name}") as watching:
        yield watching


def seat(name: str) -> Host:
    port = Port("nowhere", "eth0", 0)
    return Host(name, "nowhere", "10.99.0.11", (port, port))


def run(host: Host, command: str, bell: Path | None = None) -> Fetch:
    process = subprocess.Popen(["sh", "-c", command])
    host.children.append(process)
    return Fetch(host, process, bell)


def soon() -> float:
    return time.monotonic() + 5


def test_a_seat_has_arrived_when_all_its_images_have(arrivals: Arrivals) -> None:
    one, other = seat("one"), seat("other")
    start = time.monotonic()
    arrivals.expect(run(one, "sleep 0.4"))
    arrivals.expect(run(one, "sleep 0.1"))
    arrivals.expect(run(other, "sleep 0.1"))
    moments = arrivals.watch_for([one, other], soon())
    assert moments[0] - start > 0.4 > moments[1] - start > 0.1


def test_nobody_waits_for_a_seat_that_is_not_asked_for(arrivals: Arrivals) -> None:
    slow, other = seat("slow"), seat("other")
    fetch = run(slow, "exec sleep 60")
    arrivals.expect(fetch)
    arrivals.expect(run(other, "true"))
    arrivals.watch_for([other], soon())
    assert fetch.process.poll() is None
    fetch.process.kill()
    fetch.process.wait()


def test_with_a_bell_it_is_the_bell_that_counts(arrivals: Arrivals, tmp_path: Path) -> None:
    bell = tmp_path / "bell"
    os.mkfifo(bell)
    host = seat("one")
    fetch = run(host, f"echo whole > {bell}; exec sleep 60", bell)
    arrivals.expect(fetch)
    arrivals.watch_for([host], soon())
    assert fetch.process.poll() is None
    fetch.process.kill()
    fetch.process.wait()


def test_who_ends_badly_or_before_the_bell_fails_the_lesson(arrivals: Arrivals, tmp_path: Path) -> None:
    bad, silent = seat("bad"), seat("silent")
    arrivals.expect(run(bad, "exit 3"))
    with pytest.raises(LessonError, match="bad: ended with code 3: the last words of bad"):
        arrivals.watch_for([bad], soon())
    bell = tmp_path / "bell"
    os.mkfifo(bell)
    arrivals.expect(run(silent, "true", bell))
    with pytest.raises(LessonError, match="silent: ended with code 0"):
        arrivals.watch_for([silent], soon())


def test_who_is_forgotten_may_die(arrivals: Arrivals) -> None:
    victim, other = seat("victim"), seat("other")
    fetch = run(victim, "exec sleep 60")
    arrivals.expect(fetch)
    arrivals.expect(run(other, "sleep 0.3"))
    arrivals.watch(time.monotonic() + 0.1)
    arrivals.forget(victim)
    fetch.process.kill()
    fetch.process.wait()
    arrivals.watch_for([other], soon())


def test_who_is_not_there_in_time_is_named(arrivals: Arrivals) -> None:
    quick, slow = seat("quick"), seat("slow")
    fetch = run(slow, "exec sleep 60")
    arrivals.expect(fetch)
    arrivals.expect(run(quick, "true"))
    with pytest.raises(LessonError, match=r"not whole in time: slow$"):
        arrivals.watch_for([quick, slow], time.monotonic() + 0.2)
    fetch.process.kill()
    fetch.process.wait()
