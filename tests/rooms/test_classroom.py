"""The benchmark's rooms: what plain HTTP, which can be foretold, takes in each of them.

The repository's port is the narrow place of plain HTTP, and seats share it fairly. So the figures follow
from arithmetic, in units of the limit: n seats need n, and frames' headers make that 1.05 n.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.room import Room

from .laboratory import MEBIBYTE, PROJECT, skip_without_room

pytestmark = pytest.mark.room

HEADERS = 1514 / 1448


TELLS_OF_ITS_PARENT = """
import os, pathlib, signal, sys
reads, writes = os.pipe()
if os.fork():
    signal.pause()
os.close(writes)
os.write(1, b"ready\\n")
os.read(reads, 1)  # which ends when the parent does
pathlib.Path(sys.argv[1]).touch()
"""


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl", nginx="nginx-light")


def benchmark(module: str, *words: str | int, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": path + os.environ["PATH"]}
    argv = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
    return subprocess.run(argv, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120)


def hold(*words: str | int, contender: str = "http") -> dict[str, Any]:
    """The figures of one run of a lesson."""
    done = benchmark("classroom", *words, "--contender", contender, "--json")
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["contenders"][contender]["runs"]
    figures: dict[str, Any] = run
    return figures


def about(figure: float) -> Any:
    return pytest.approx(figure, rel=0.08)


def least(figure: float) -> float:
    """A line is as fast as it is; how much slower a busy machine makes it is no test's to say."""
    return 0.92 * figure


def test_payload_is_the_image_to_a_five_hundredth() -> None:
    run = hold("--clients", 1, "--rate", 200, "--size", 16)
    assert run["payload_sent"] == pytest.approx(16 * MEBIBYTE, rel=0.002)
    assert run["copies"] == pytest.approx(1, rel=0.002)
    assert run["bytes_sent"] == pytest.approx(16 * MEBIBYTE * HEADERS, rel=0.002)


def test_payload_of_an_unshaped_port_is_the_image_and_what_it_lost() -> None:
    run = hold("--clients", 1, "--rate", 0, "--size", 16)
    # At full speed a cable's ring of frames overflows now and then, and TCP sends those again.
    assert 1 <= run["copies"] < 1.03


def test_a_latecomer_starts_halfway_and_has_a_time_of_its_own() -> None:
    run = hold("--clients", 3, "--size", 8, "--scenario", "late")
    assert (len(run["seconds"]), len(run["late_seconds"])) == (2, 1)
    # The line is full from the start to the end, which is that of the latecomer or of another one.
    assert max(run["last_over_limit"], 0.5 + run["late_over_limit"]) >= least(3 * HEADERS)
    assert run["copies"] == about(3)


def test_two_that_are_killed_halfway_take_no_more() -> None:
    run = hold("--clients", 4, "--size", 16, "--scenario", "killed")
    assert len(run["seconds"]) == 2
    # At half of the limit each of four has an eighth of the image; then two take what they lack.
    assert 2 < run["copies"] <= 1.08 * (0.5 + 2 * 7 / 8)
    assert run["last_over_limit"] >= least(HEADERS * 2)


def test_nobody_waits_for_a_slow_port() -> None:
    run = hold("--clients", 3, "--size", 8, "--scenario", "slow-port")
    assert len(run["seconds"]) == 2
    # A tenth of the line is the slow seat's, and the two share nine.
    assert run["last_over_limit"] >= least(HEADERS * 2 / 0.9)
    assert 2 < run["copies"] < 3


def test_two_images_are_fetched_by_every_seat_at_once() -> None:
    run = hold("--clients", 2, "--size", 4, "--scenario", "two-images")
    assert run["payload_sent"] == about(2 * 2 * 4 * MEBIBYTE)
    assert run["copies"] == about(2) and run["last_over_limit"] >= least(2 * HEADERS)


def test_each_of_two_rooms_is_behind_an_uplink_of_one_port() -> None:
    run = hold("--clients", 2, "--size", 8, "--repository-rate", 400, "--scenario", "two-rooms")
    assert len(run["seconds"]) == 4
    # The repository could serve all four in the time of one, if it were not for the uplinks.
    assert run["last_over_limit"] >= least(2 * HEADERS)
    assert run["payload_inward"] == [about(2 * 8 * MEBIBYTE)] * 2
    assert (run["uplink_copies"], run["copies"]) == (about(2), about(4))
    assert run["inside"] == pytest.approx(0, abs=0.01)


def test_seats_of_two_rooms_stand_in_different_subnets_and_reach_each_other() -> None:
    with Room(seats=2, rate=100, switches=2) as room:
        subnets = [seat.address.rpartition(".")[0] for seat in room.seats]
        assert subnets == ["10.99.1", "10.99.1", "10.99.2", "10.99.2"]
        for host in (room.repository, room.seats[-1]):
            room.seats[0].run(["curl", "--max-time", "2", host.address], check=False)
            neighbours = room.seats[0].run(["ip", "neigh", "show", host.address]).stdout
            assert "lladdr" in neighbours, f"{host.name} does not answer"


def test_nobody_says_goodbye_when_a_host_crashes(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with Room(seats=1) as room:
        (seat,) = room.seats
        parent = seat.popen([sys.executable, "-c", TELLS_OF_ITS_PARENT, told], stdout=subprocess.PIPE)
        assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
        seat.crash()
    assert not told.exists()


@pytest.mark.parametrize("contender", ["ogtorrent", "ctorrent"])
def test_warm_seats_have_an_image_before_the_clock_starts(contender: str) -> None:
    skip_without_room(curl="curl", ctorrent="ctorrent", opentracker="opentracker", mktorrent="mktorrent")
    run = hold("--clients", 2, "--size", 4, "--scenario", "warm", contender=contender)
    assert len(run["seconds"]) == 2
    assert 0.98 < run["copies"] < 2.1, "the image that they had already was counted"


def test_who_fails_is_told_of_and_the_others_go_on(tmp_path: Path) -> None:
    broken = tmp_path / "mktorrent"
    broken.write_text("#!/bin/sh\necho no torrents today >&2\nexit 3\n")
    broken.chmod(0o755)
    skip_without_room(ctorrent="ctorrent", opentracker="opentracker", mktorrent="mktorrent")
    words = ["1", "2", "--size", 4, "--runs", 1, "--contender", "ctorrent", "--contender", "http"]
    done = benchmark("goals", *words, path=f"{tmp_path}:")
    assert done.returncode == 1
    assert "ctorrent failed: repository: mktorrent" in done.stderr and "no torrents today" in done.stderr
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    assert lines[0] == ["room", "figure", "goal", "http", "ctorrent"]
    assert [(line[1], line[2], line[4]) for line in lines[2:] if line[1] == "last x limit"] == [
        ("last x limit", "1.08", "–, failed 1 of 1"),
        ("last x limit", "1.08", "–, failed 1 of 1"),
    ]
    assert [float(line[3]) for line in lines[2:] if line[1] == "copies sent"] == [1.0, 2.0]


def test_a_trace_tells_how_full_each_port_was() -> None:
    words = ["--clients", 1, "--rate", 50, "--size", 8, "--contender", "http", "--trace"]
    done = benchmark("classroom", *words)
    assert done.returncode == 0, done.stderr
    ports = {line[:15].strip(): line[15:].split() for line in done.stderr.splitlines() if line.endswith("%")}
    first = {name: int(shares[0].rstrip("%")) for name, shares in ports.items()}
    assert set(first) == {"repository in", "repository out", "seat0 in", "seat0 out"}
    assert first["repository out"] > 85 and first["seat0 in"] > 85
    assert first["repository in"] < 10 and first["seat0 out"] < 10
