"""What leaves the repository and what passes between rooms: copies, for times are no business of a test."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .laboratory import PROJECT, skip_without_room

pytestmark = pytest.mark.room


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl")


def hold(*words: str | int) -> dict[str, float]:
    """The figures of one room that ogtorrent filled; every image in it was compared by digest."""
    lesson = [
        sys.executable,
        "-m",
        "benchmarks.classroom",
        "--contender",
        "ogtorrent",
        "--json",
        *map(str, words),
    ]
    done = subprocess.run(lesson, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["contenders"]["ogtorrent"]["runs"]
    figures: dict[str, float] = run
    return figures


def test_the_repository_sends_hardly_more_than_one_copy_into_a_room() -> None:
    assert hold("--clients", 6, "--rate", 50, "--size", 48)["copies"] < 1.15


def test_hardly_more_than_one_copy_passes_the_cable_of_each_of_two_rooms() -> None:
    run = hold("--scenario", "two-rooms", "--clients", 4, "--rate", 50, "--size", 48)
    assert run["copies"] < 1.5
    assert run["uplink_copies"] < 1.8
