"""A download that did not end: the record beside it is believed only of the files it was made of."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from machines import Seat, Server, published, until

from ogtorrent.fetch.safe import on_disk
from ogtorrent.layout import recognise
from ogtorrent.swarm import metainfo

pytestmark = pytest.mark.room

MIB = 2**20
SIZE = 4 * MIB + 5
SLOW = 2 * MIB  # bytes a second
NAME = "windows.img"

Seats = Callable[..., Seat]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Two servers, behind slow lines, with two versions of one image."""
    homes = [tmp_path_factory.mktemp(f"version{number}") for number in (1, 2)]
    for seed, home in enumerate(homes):
        published(home / "images" / NAME, home / "images", SIZE, seed=seed)
    first, second = (Server(home, home / "images", line=SLOW) for home in homes)
    yield first, second
    for server in (first, second):
        assert server.end() == 0


@pytest.fixture
def given_up(versions: tuple[Server, Server], seat: Seats) -> Seat:
    """A seat whose user ended the command in the middle of version 1."""
    pc = seat()
    running = pc.start(versions[0].address, NAME)
    running.until_bytes_come()
    running.process.send_signal(signal.SIGINT)
    running.end()
    until(lambda: pc.seeder() is None)
    assert record(pc).exists()
    return pc


def partial(pc: Seat) -> Path:
    return pc.cache / "images" / f".{NAME}.part"


def record(pc: Seat) -> Path:
    return pc.cache / "images" / f".{NAME}.safe"


def assert_filled(pc: Seat, server: Server) -> int:
    """The bytes that were fetched."""
    done = pc.update(server.address, NAME).done
    here, there = pc.cache / "images" / NAME, server.root / NAME
    assert hashlib.sha256(here.read_bytes()).digest() == hashlib.sha256(there.read_bytes()).digest()
    assert sorted(path.name for path in here.parent.iterdir()) == [
        NAME + ending for ending in ("", ".full.sum", ".sum", ".torrent")
    ]
    return done.fetched


def test_what_was_noted_is_neither_read_nor_fetched_again(
    versions: tuple[Server, Server], given_up: Seat
) -> None:
    noted = partial(given_up).stat().st_blocks * 512
    os.utime(partial(given_up), ns=(0, partial(given_up).stat().st_mtime_ns))  # relatime notes a read
    running = given_up.start(versions[0].address, NAME, "--session", "leecher:0")
    running.until_bytes_come()
    assert partial(given_up).stat().st_atime_ns == 0
    done = running.end().done
    assert done.fetched <= SIZE - noted + MIB


@pytest.mark.parametrize("found", ["nonsense", "another file", "cut short"])
def test_a_record_that_does_not_fit_is_not_believed(
    versions: tuple[Server, Server], given_up: Seat, found: str
) -> None:
    if found == "nonsense":
        record(given_up).write_bytes(b'{"version": 1}')
    elif found == "another file":
        size = partial(given_up).stat().st_size
        partial(given_up).unlink()
        partial(given_up).write_bytes(bytes(size))  # perhaps with the same inode
    else:
        os.truncate(partial(given_up), 1)
    assert_filled(given_up, versions[0])


def test_a_record_is_forgotten_before_another_version_writes_over_its_pieces(
    versions: tuple[Server, Server], given_up: Seat
) -> None:
    root = recognise(given_up.cache / "images")
    first, second = (metainfo.read(server.root / f"{NAME}.torrent") for server in versions)
    assert on_disk(root, first)
    assert not on_disk(root, second)
    assert not on_disk(root, first)
