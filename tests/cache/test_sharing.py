"""A new version takes from the cache what stands there, and the network brings the rest."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from machines import DEADLINE, Seat, Server, environment, image, ogtorrent, published, until

from ogtorrent.cache import events
from ogtorrent.layout import Sidecar
from ogtorrent.swarm.metainfo import Metainfo, piece_length

pytestmark = pytest.mark.room

MIB = 2**20
SIZE = 8 * MIB
PIECE = piece_length(SIZE)
CACHE_FULL = 16
Serve, Seats = Callable[..., Server], Callable[..., Seat]

# The program with a copy that stops at its fifth piece: for good, or for a while at this one and all others.
IN_THE_MIDDLE = """
import os, signal, sys, time
from ogtorrent.fetch import sharing
from ogtorrent.cli import main
write, pieces = sharing.Sharing._write, []
def stop(self, part, data):
    write(self, part, data)
    pieces.append(part)
    if len(pieces) > 4:
        time.sleep(0.05) if sys.argv[1] == "slow" else os.kill(os.getpid(), signal.SIGKILL)
sharing.Sharing._write = stop
main(sys.argv[2:])
"""


def digests(folder: Path) -> dict[str, str]:
    """Of all files but the sessions of multicast, which stay on the server."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != Sidecar.MULTICAST
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def rebuilt(place: Path, change: Callable[[bytearray], Any]) -> None:
    """The image with a change, written beside and renamed."""
    content = bytearray(place.read_bytes())
    change(content)
    aside = place.with_name(f".{place.name}.new")
    aside.write_bytes(content)
    aside.rename(place)


def fresh(content: bytearray, start: int, length: int) -> None:
    content[start : start + length] = random.Random(start).randbytes(length)


@pytest.fixture
def filled(serve: Serve, seat: Seats, tmp_path: Path) -> tuple[Server, Seat, Metainfo]:
    """A server, a seat that has its windows.img, and what describes it."""
    published(tmp_path / "images" / "windows.img", tmp_path / "images", SIZE)
    server, pc = serve(tmp_path / "images"), seat()
    old = server.ready("windows.img")
    assert pc.update(server.address, "windows.img").done.shared == 0
    return server, pc, old


def test_of_a_rebuilt_image_only_the_pieces_that_changed_come(filled: tuple[Server, Seat, Metainfo]) -> None:
    server, pc, old = filled
    rebuilt(server.root / "windows.img", lambda content: fresh(content, 3 * PIECE - 1, PIECE + 2))
    server.ready("windows.img", but=old)
    done = pc.update(server.address, "windows.img").done
    assert (done.fetched, done.shared) == (3 * PIECE, SIZE - 3 * PIECE)
    assert digests(pc.cache / "images") == digests(server.root)


def test_what_came_from_the_cache_is_told_in_words(filled: tuple[Server, Seat, Metainfo]) -> None:
    server, pc, old = filled
    rebuilt(server.root / "windows.img", lambda content: fresh(content, 0, SIZE // 4))
    server.ready("windows.img", but=old)
    ran = ogtorrent(
        "update-cache", server.address, "/", "windows.img", "--cache", pc.cache, "--address", pc.address
    )
    assert ran.returncode == 0 and "75 % of it was on this PC already" in ran.stdout


def test_what_another_image_has_is_taken_wherever_it_stands(filled: tuple[Server, Seat, Metainfo]) -> None:
    server, pc, _ = filled
    content = (server.root / "windows.img").read_bytes()
    new = server.root / "aula1" / "linux.img"
    new.parent.mkdir()
    new.with_name(".new").write_bytes(content[SIZE // 2 :] + content[: SIZE // 2])
    new.with_name(".new").rename(new)
    server.ready("aula1/linux.img")
    done = pc.update(server.address, "linux.img", subdir="aula1").done
    assert (done.fetched, done.shared) == (0, SIZE)
    assert digests(pc.cache / "images") == digests(server.root)


def test_what_the_version_before_the_last_had_comes_back_from_there(
    filled: tuple[Server, Seat, Metainfo],
) -> None:
    server, pc, first = filled
    there = server.root / "windows.img"
    before = there.read_bytes()
    rebuilt(there, lambda content: fresh(content, 0, SIZE // 2))
    second = server.ready("windows.img", but=first)
    pc.update(server.address, "windows.img").done  # noqa: B018
    rebuilt(there, lambda content: content.__setitem__(slice(None), before[:-1] + b"x"))
    server.ready("windows.img", but=second)
    done = pc.update(server.address, "windows.img").done
    assert (done.fetched, done.shared) == (PIECE, SIZE - PIECE)
    assert digests(pc.cache / "images") == digests(server.root)


def test_an_image_that_grew_into_longer_pieces_takes_what_stands_at_the_same_offsets(
    serve: Serve, seat: Seats, tmp_path: Path
) -> None:
    size = 32 * MIB  # the most for pieces of its length
    there = published(tmp_path / "images" / "windows.img", tmp_path / "images", size)
    server, pc = serve(there.parent), seat()
    old = server.ready("windows.img")
    pc.update(server.address, "windows.img").done  # noqa: B018
    rebuilt(there, lambda content: content.extend(b"x" * MIB))
    new = server.ready("windows.img", but=old)
    assert new.piece_length == 2 * old.piece_length
    done = pc.update(server.address, "windows.img").done
    assert (done.fetched, done.shared) == (MIB, size)
    assert digests(pc.cache / "images") == digests(server.root)


@pytest.mark.parametrize("alike", [False, True], ids=["another image", "an older version"])
def test_what_nothing_describes_is_used_where_a_sample_is_alike(
    filled: tuple[Server, Seat, Metainfo], alike: bool
) -> None:
    server, pc, old = filled
    pc.stop()
    here = pc.cache / "images" / "windows.img"
    Path(f"{here}.torrent").unlink()
    if not alike:
        image(here, SIZE, seed=7)
    rebuilt(server.root / "windows.img", lambda content: fresh(content, 0, PIECE))
    server.ready("windows.img", but=old)
    done = pc.update(server.address, "windows.img").done
    assert done.shared == (SIZE - PIECE if alike else 0)
    assert done.fetched == SIZE - done.shared
    assert digests(pc.cache / "images") == digests(server.root)


def test_a_directory_takes_the_files_that_kept_their_path_though_all_moved_in_the_stream(
    served: Server, seat: Seats
) -> None:
    clone = served.root / "clone.img"
    for number, name in enumerate(("info", "sda1", "parts/sda2")):
        image(clone / name, 100 if name == "info" else 2 * MIB, seed=number)
    (clone / "empty").touch()
    old = served.ready("clone.img")
    pc = seat()
    pc.update(served.address, "clone.img").done  # noqa: B018
    image(clone / "info", 150, seed=9)  # the first file of all
    served.ready("clone.img", but=old)
    done = pc.update(served.address, "clone.img").done
    assert 0 < done.fetched <= 2 * piece_length(4 * MIB)
    assert done.shared == done.size - done.fetched
    assert digests(pc.cache / "images") == digests(served.root)


def test_what_was_damaged_on_the_disk_is_fetched_and_not_believed(
    filled: tuple[Server, Seat, Metainfo],
) -> None:
    server, pc, old = filled
    pc.stop()
    here = pc.cache / "images" / "windows.img"
    times = here.stat()
    with here.open("r+b") as file:  # neither size nor time tell
        file.seek(5 * PIECE + 100)
        file.write(b"damage")
    os.utime(here, ns=(times.st_atime_ns, times.st_mtime_ns))
    rebuilt(server.root / "windows.img", lambda content: fresh(content, 0, PIECE))
    server.ready("windows.img", but=old)
    done = pc.update(server.address, "windows.img").done
    assert (done.fetched, done.shared) == (2 * PIECE, SIZE - 2 * PIECE)
    assert digests(pc.cache / "images") == digests(server.root)


def test_holes_are_not_written(filled: tuple[Server, Seat, Metainfo]) -> None:
    server, pc, old = filled
    for change in (bytes(SIZE // 2), b"x"):  # the first time the network brings the zeros
        rebuilt(
            server.root / "windows.img",
            lambda content, change=change: content.__setitem__(slice(0, len(change)), change),  # type: ignore[misc]
        )
        old = server.ready("windows.img", but=old)
        assert pc.update(server.address, "windows.img").done.fetched >= PIECE
    assert (pc.cache / "images" / "windows.img").stat().st_blocks * 512 < 0.6 * SIZE
    assert digests(pc.cache / "images") == digests(server.root)


def test_what_had_come_of_a_new_version_is_kept_beside_what_the_old_one_has(
    filled: tuple[Server, Seat, Metainfo],
) -> None:
    server, pc, old = filled
    rebuilt(server.root / "windows.img", lambda content: fresh(content, 0, 2 * PIECE))
    server.ready("windows.img", but=old)
    came = (server.root / "windows.img").read_bytes()[:PIECE]
    (pc.cache / "images" / ".windows.img.part").write_bytes(came)
    done = pc.update(server.address, "windows.img").done
    assert (done.fetched, done.shared) == (PIECE, SIZE - 2 * PIECE)
    assert digests(pc.cache / "images") == digests(server.root)


@contextmanager
def met_in_the_middle(server: Server, pc: Seat, how: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", IN_THE_MIDDLE, how, "update-cache", server.address, "/", "windows.img"]
    process = subprocess.Popen(
        [*command, "--cache", str(pc.cache), "--address", pc.address],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["dies", "slow"], ids=["killed", "given up"])
def test_a_copy_that_is_cut_leaves_the_old_version_and_is_gone_on_with(
    filled: tuple[Server, Seat, Metainfo], how: str
) -> None:
    server, pc, old = filled
    pc.stop()
    before = digests(pc.cache / "images")
    rebuilt(server.root / "windows.img", lambda content: fresh(content, 0, PIECE))
    server.ready("windows.img", but=old)
    partial = pc.cache / "images" / ".windows.img.part"
    with met_in_the_middle(server, pc, how) as update:
        if how == "slow":
            until(lambda: partial.exists() and partial.stat().st_blocks * 512 > 5 * PIECE)
            update.send_signal(signal.SIGINT)
        _, said = update.communicate(timeout=DEADLINE)
        assert update.returncode == (130 if how == "slow" else 60), said
    pc.stop()
    assert 0 < partial.stat().st_blocks * 512 < SIZE // 2
    assert digests(pc.cache / "images") == before
    done = pc.update(server.address, "windows.img").done
    assert (done.fetched, done.shared) == (PIECE, SIZE - PIECE)
    assert digests(pc.cache / "images") == digests(server.root)


@pytest.mark.root
def test_a_disk_that_fills_while_it_copies_is_told_and_nothing_else_touched(
    served: Server, seat: Seats, tmp_path: Path
) -> None:
    for name in ("old.img", "new.img"):  # files of a byte, which take a page each
        (served.root / name).mkdir()
        for number in range(1000):
            (served.root / name / f"{number:04}").write_bytes(b"x")
        served.ready(name)
    cache = tmp_path / "cache"
    pc = seat(cache)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", cache], check=True)
    try:
        pc.update(served.address, "old.img").done  # noqa: B018
        before = digests(cache / "images")
        full = pc.update(served.address, "new.img")
        assert full.code == CACHE_FULL and "more bytes" in full.said
        assert not any(isinstance(event, events.Progress) and event.peers for event in full.events)
        assert digests(cache / "images") == before
        subprocess.run(["mount", "-o", "remount,size=20m", cache], check=True)
        done = pc.update(served.address, "new.img").done
        assert (done.fetched, done.shared) == (0, 1000)
    finally:
        pc.stop()
        subprocess.run(["umount", cache], check=True)
