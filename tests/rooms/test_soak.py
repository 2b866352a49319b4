"""A room that fills again and again while seats die and join does not grow."""

from pathlib import Path

import pytest

from benchmarks.room import Room
from benchmarks.soak import MEBIBYTE, soak

from .laboratory import skip_without_room

pytestmark = pytest.mark.room


def test_files_threads_and_processes_do_not_grow(tmp_path: Path) -> None:
    skip_without_room(curl="curl")
    with Room(seats=4, rate=200) as room:
        looks = list(soak(room, tmp_path, seconds=40, every=10, size=4 * MEBIBYTE, seed=1))
    first, last = looks[1], looks[-1]
    rounds = last.deaths - first.deaths
    assert rounds > 4
    for before, after in ((first.serve, last.serve), (first.seeders, last.seeders)):
        # A leak grows with the rounds; connections and the threads of a pool come and go.
        assert after.files - before.files < rounds
        assert after.threads - before.threads < rounds
    assert last.processes <= first.processes
