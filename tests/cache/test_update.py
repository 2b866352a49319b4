"""UpdateCache from end to end: a real server, real seats, real bytes on loopback."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machines import (
    AS_A_USER,
    NETWORK,
    Seat,
    Server,
    Update,
    environment,
    image,
    ogtorrent,
    published,
    until,
)

from ogtorrent.cache import events
from ogtorrent.swarm import metainfo

MIB = 2**20
SIZE = 3 * MIB + 5
SLOW = 2 * MIB  # bytes a second of a server that is to be met in the middle of a download
Command = Callable[..., tuple[int, str, str]]
Serve, Seats = Callable[..., Server], Callable[..., Seat]


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unfinished(seat: Seat) -> list[Path]:
    """Whatever a download leaves under names that are not final; a previous version is no such thing."""
    return [
        path
        for path in seat.cache.rglob(".*")
        if path.name not in (".ogtorrent", ".previous") and ".ogtorrent" not in path.parts[:-1]
    ]


def assert_filled(seat: Seat, server: Server, name: str, place: str) -> Path:
    """The image and its sidecars stand in the cache as on the server, and nothing else."""
    there, here = server.root / name, seat.cache / place
    assert sha(here) == sha(there)
    assert here.stat().st_mtime_ns == there.stat().st_mtime_ns
    for ending in (".torrent", ".sum", ".full.sum"):
        assert Path(f"{here}{ending}").read_bytes() == Path(f"{there}{ending}").read_bytes()
    assert unfinished(seat) == []
    return here


@contextmanager
def never_missing(path: Path) -> Iterator[None]:
    """Something stands at the path all the time, however closely one looks."""
    ended, missed = threading.Event(), []

    def look() -> None:
        while not ended.is_set():
            if not path.exists():
                missed.append(path)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    yield
    ended.set()
    looking.join()
    assert missed == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a few images that no test of this module changes."""
    home = tmp_path_factory.mktemp("server")
    for name in ("windows.img", "aula1/windows.img"):
        published(home / "images" / name, home / "images", SIZE)
    yield from running(Server(home, home / "images"))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a slow line, with an image that takes two seconds."""
    home = tmp_path_factory.mktemp("slow")
    published(home / "images" / "windows.img", home / "images", 2 * SLOW)
    yield from running(Server(home, home / "images", line=SLOW))


def running(server: Server) -> Iterator[Server]:
    yield server
    assert server.end() == 0
    assert "Traceback" not in server.log


@pytest.fixture
def filled(server: Server, seat: Seats) -> tuple[Server, Seat, Path]:
    """A server with windows.img, and a seat that has it."""
    pc = seat()
    pc.update(server.address, "windows.img").done  # noqa: B018 - it asserts
    return server, pc, pc.cache / "images" / "windows.img"


@pytest.mark.parametrize(
    ("root", "place", "layout"),
    [
        ("srv/imágenes", "imágenes", "bare"),
        ("opt/opengnsys/repo/images", "opt/opengnsys/repo/images", "current"),
        ("opt/opengnsys/images", "opt/opengnsys/images", "legacy"),
        ("var/opt/eac/hdimages", "var/opt/eac/hdimages", "eac"),
    ],
)
def test_a_seat_is_filled_and_mirrors_the_servers_path(
    serve: Serve, seat: Seats, tmp_path: Path, root: str, place: str, layout: str
) -> None:
    published(tmp_path / root / "aula 1" / "windows ñ.img", tmp_path / root, SIZE)
    server, pc = serve(tmp_path / root), seat()
    assert server.said.splitlines()[0] == f"{tmp_path / root}: {layout} layout"
    there = server.ready("aula 1/windows ñ.img")
    update = pc.update(server.address, "windows ñ.img", subdir="/aula 1/")
    here = assert_filled(pc, server, "aula 1/windows ñ.img", f"{place}/aula 1/windows ñ.img")
    done = update.done
    assert (done.image, done.path, done.size) == ("aula 1/windows ñ.img", str(here), SIZE)
    assert done.fetched >= SIZE and done.from_repository == done.fetched
    assert isinstance(update.events[0], events.Started)
    until(lambda: server.peers(there).get(pc.address) == "seeding")  # it stays, in the background


@pytest.mark.room
def test_a_directory_image_is_filled_and_rebuilt(served: Server, seat: Seats) -> None:
    for number, name in enumerate(("sda1", "parts/sda2", "one-byte")):
        image(served.root / "clone.img" / name, 1 if name == "one-byte" else MIB, seed=number)
    (served.root / "clone.img" / "empty").touch()
    old = served.ready("clone.img")
    pc = seat()
    assert pc.update(served.address, "clone.img").done.size == 2 * MIB + 1
    (served.root / "clone.img" / "parts" / "sda2").unlink()
    image(served.root / "clone.img" / "sda3", MIB, seed=9)
    served.ready("clone.img", but=old)
    here, there = pc.cache / "images" / "clone.img", served.root / "clone.img"
    with never_missing(here):
        assert pc.update(served.address, "clone.img").done.fetched > 0
    names = sorted(str(path.relative_to(there)) for path in there.rglob("*") if path.is_file())
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()) == names
    assert all((here / name).read_bytes() == (there / name).read_bytes() for name in names)
    assert unfinished(pc) == []
    assert sorted(path.name for path in here.parent.iterdir()) == [
        ".previous", "clone.img", "clone.img.full.sum", "clone.img.sum", "clone.img.torrent",
    ]  # fmt: skip


@pytest.mark.room
def test_what_is_up_to_date_is_not_read_and_verify_mends_just_the_damage(
    filled: tuple[Server, Seat, Path],
) -> None:
    server, pc, here = filled
    times = here.stat()
    with here.open("r+b") as file:  # a disk that forgets: neither size nor time tell
        file.seek(MIB)
        file.write(b"damage")
    os.utime(here, ns=(times.st_atime_ns, times.st_mtime_ns))
    damaged = sha(here)
    update = pc.update(server.address, "windows.img")
    assert update.done.fetched == 0
    assert not any(isinstance(event, events.Checking) for event in update.events)
    assert sha(here) == damaged
    pc.stop()

    mended = pc.update(server.address, "windows.img", "--verify").done
    assert 0 < mended.fetched <= 4 * metainfo.piece_length(SIZE)
    assert_filled(pc, server, "windows.img", "images/windows.img")
    assert pc.update(server.address, "windows.img", "--verify").done.fetched == 0


def test_nothing_to_fetch_is_said_in_words(filled: tuple[Server, Seat, Path]) -> None:
    server, pc, _ = filled
    ran = ogtorrent("update-cache", server.address, "/", "windows.img", "--cache", pc.cache)
    assert ran.returncode == 0 and "nothing to fetch" in ran.stdout and ran.stderr == ""


@pytest.mark.room
def test_a_rebuilt_image_replaces_the_old_one_which_stands_until_then(
    serve: Serve, seat: Seats, tmp_path: Path
) -> None:
    there = published(tmp_path / "images" / "windows.img", tmp_path / "images", SIZE, seed=1)
    server, pc = serve(there.parent, line=SLOW), seat()
    old = server.ready("windows.img")
    here = pc.cache / "images" / "windows.img"
    here.parent.mkdir()
    shutil.copy2(there, here)
    pc.update(server.address, "windows.img").done  # noqa: B018
    before = sha(here)
    image(there, SIZE, seed=2)
    server.ready("windows.img", but=old)
    running = pc.start(server.address, "windows.img")
    running.until_bytes_come()
    assert sha(here) == before  # the old one, whole, with its own metainfo
    assert metainfo.read(Path(f"{here}.torrent")).info_hash == old.info_hash
    assert running.end().done.fetched >= SIZE
    assert_filled(pc, server, "windows.img", "images/windows.img")


def test_an_image_copied_into_the_cache_by_hand_is_adopted(server: Server, seat: Seats) -> None:
    there, pc = server.root / "windows.img", seat()
    here = pc.cache / "images" / "windows.img"
    here.parent.mkdir()
    shutil.copyfile(there, here)  # without its times
    assert pc.update(server.address, "windows.img").done.fetched == 0
    assert_filled(pc, server, "windows.img", "images/windows.img")


@pytest.mark.room
def test_another_image_under_the_same_name_stands_until_it_is_replaced(slow: Server, seat: Seats) -> None:
    pc = seat()
    here = image(pc.cache / "images" / "windows.img", SIZE, seed=5)  # without a word of what it is
    before = sha(here)
    running = pc.start(slow.address, "windows.img")
    running.until_bytes_come()
    assert sha(here) == before
    assert running.end().done.fetched >= 2 * SLOW
    assert_filled(pc, slow, "windows.img", "images/windows.img")


@pytest.mark.room
def test_an_interrupted_download_goes_on_from_where_it_was(slow: Server, seat: Seats) -> None:
    server, pc = slow, seat()
    running = pc.start(server.address, "windows.img")
    came = running.until_bytes_come()
    running.process.send_signal(signal.SIGINT)
    assert running.end().code == 130
    assert not (pc.cache / "images" / "windows.img").exists()

    again = pc.start(server.address, "windows.img")
    again.until_bytes_come()
    number = pc.seeder()
    assert number is not None
    os.kill(number, signal.SIGKILL)  # as when the power goes
    lost = again.end()
    assert lost.code == 60 and "run this again" in lost.said and "Traceback" not in lost.said
    assert not (pc.cache / "images" / "windows.img").exists()

    last = pc.update(server.address, "windows.img").done
    # A kill may cost what came since; an interrupt nothing but the blocks that were on their way.
    assert last.fetched < 2 * SLOW - came.done + 64 * 1024
    assert_filled(pc, server, "windows.img", "images/windows.img")


@pytest.mark.room
def test_two_commands_for_one_image_share_one_download(slow: Server, seat: Seats) -> None:
    server, pc = slow, seat()
    commands = [pc.start(server.address, "windows.img") for _ in range(2)]
    done = [command.end().done for command in commands]
    assert [one.size for one in done] == [2 * SLOW] * 2
    assert_filled(pc, server, "windows.img", "images/windows.img")
    assert pc.log.count("wanted from") == 1 or min(one.fetched for one in done) == 0


@pytest.mark.room
def test_a_command_that_gives_up_does_not_end_the_download_of_another(slow: Server, seat: Seats) -> None:
    server, pc = slow, seat()
    stays, leaves = pc.start(server.address, "windows.img"), pc.start(server.address, "windows.img")
    leaves.until_bytes_come()
    leaves.process.send_signal(signal.SIGINT)
    assert leaves.end().code == 130
    assert stays.end().done.size == 2 * SLOW
    assert "given up" not in pc.log


@pytest.mark.room
def test_another_version_while_the_first_is_filling_is_told_as_locked(
    server: Server, serve: Serve, seat: Seats, tmp_path: Path
) -> None:
    there = published(tmp_path / "images" / "windows.img", tmp_path / "images", 8 * MIB, seed=1)
    first, second, pc = serve(there.parent, line=SLOW), server, seat()
    running = pc.start(first.address, "windows.img")
    running.until_bytes_come()
    refused = pc.update(second.address, "windows.img")
    assert refused.code == 4 and "another version" in refused.said
    running.process.send_signal(signal.SIGINT)  # which was not disturbed
    assert running.end().code == 130


@pytest.mark.room
def test_seats_fill_each_other_when_the_server_is_slow(slow: Server, seat: Seats) -> None:
    server = slow
    seats = [seat() for _ in range(3)]
    running = [pc.start(server.address, "windows.img") for pc in seats]
    done = [one.end().done for one in running]
    for pc in seats:
        assert_filled(pc, server, "windows.img", "images/windows.img")
    assert sum(one.from_seats for one in done) > 2 * SLOW
    assert all(one.fetched == one.from_seats + one.from_repository for one in done)


@pytest.mark.room
def test_a_seat_that_stays_fills_another_when_the_servers_seed_is_gone(
    serve: Serve, seat: Seats, tmp_path: Path
) -> None:
    there = published(tmp_path / "images" / "windows.img", tmp_path / "images", 2 * SLOW)
    server, first, second = serve(tmp_path / "images", line=SLOW), seat(), seat()
    windows = server.ready("windows.img")
    (first.cache / "images").mkdir()
    shutil.copy2(there, first.cache / "images")
    first.update(server.address, "windows.img").done  # noqa: B018
    first.stop()
    with first.seeding(line=SLOW // 2) as seeding:
        until(lambda: server.peers(windows).get(first.address) == "seeding")
        running = second.start(server.address, "windows.img")
        running.until_bytes_come()
        server.process.kill()  # in the middle: seed, tracker and catalogue at once
        server.process.wait()
        assert running.end().done.from_seats > 0
        assert seeding.poll() is None
    assert sha(second.cache / "images" / "windows.img") == sha(server.root / "windows.img")
    late = seat().update(server.address, "windows.img")
    assert late.code == 23 and "does not answer" in late.said


@pytest.mark.room
def test_a_leecher_takes_and_is_gone(server: Server, seat: Seats) -> None:
    windows, pc = server.ready("windows.img"), seat()
    assert pc.update(server.address, "windows.img", "--session", "leecher:600").done.seeding == 0
    assert_filled(pc, server, "windows.img", "images/windows.img")
    until(lambda: pc.address not in server.peers(windows))
    until(lambda: pc.seeder() is None, seconds=12)  # it does not wait for another first call


@pytest.mark.room
def test_a_seat_stops_seeding_when_its_time_is_over(server: Server, seat: Seats) -> None:
    windows, pc = server.ready("windows.img"), seat()
    assert pc.update(server.address, "windows.img", "--session", "peer:1").done.seeding == 1
    until(lambda: pc.seeder() is None)
    assert pc.address not in server.peers(windows)
    assert pc.log.rstrip().endswith("ended")


def test_the_seeder_is_stopped_by_its_command_and_tells_the_tracker(
    filled: tuple[Server, Seat, Path],
) -> None:
    server, pc, here = filled
    windows = metainfo.read(Path(f"{here}.torrent"))
    until(lambda: server.peers(windows).get(pc.address) == "seeding")
    stopped = ogtorrent("cache", "stop", "--cache", pc.cache)
    assert (stopped.returncode, stopped.stdout) == (0, "")
    assert pc.seeder() is None
    assert pc.address not in server.peers(windows)
    assert here.exists()
    again = ogtorrent("cache", "stop", "--cache", pc.cache)
    assert (again.returncode, again.stdout) == (0, "no seeder runs\n")


# What goes wrong, and what is said about it


def told(update_or_run: object, code: int, *words: str) -> None:
    """The exit code, and a sentence without a traceback that holds every one of the words."""
    found = getattr(update_or_run, "code", getattr(update_or_run, "returncode", None))
    said = getattr(update_or_run, "said", getattr(update_or_run, "stderr", ""))
    assert found == code, said
    assert "Traceback" not in said and said.startswith("ogtorrent: ") and said.count("\n") == 1
    for word in words:
        assert word in said


@pytest.mark.room
def test_an_unknown_image_is_told_with_near_names(filled: tuple[Server, Seat, Path]) -> None:
    server, pc, _ = filled
    update = pc.update(server.address, "window.img", subdir="/aula1")
    told(update, 2, "'aula1/window.img'", "Did you mean aula1/windows.img or windows.img?")
    assert update.events == [events.Failed(update.said.removeprefix("ogtorrent: ").rstrip(), 2)]
    told(pc.update(server.address, "debian.iso"), 2, f"http://{server.address}/catalogue")


@pytest.mark.room
def test_a_locked_image_is_told_as_such(served: Server, seat: Seats) -> None:
    image(served.root / "windows.img", SIZE)
    (served.root / "windows.img.lock").touch()
    until(lambda: served.state("windows.img") == "locked")
    told(seat().update(served.address, "windows.img"), 4, "windows.img.lock")


def test_a_cache_that_is_no_directory_is_told_as_such(tmp_path: Path, command: Command) -> None:
    cache = tmp_path / "missing"
    code, _, said = command("update-cache", "127.0.0.1:1", "/", "windows.img", "--cache", cache)
    told(Update([], code, said), 15, str(tmp_path / "missing"), "--cache")


@pytest.mark.parametrize(
    ("subdir", "name", "session", "words"),
    [
        ("/", "../windows.img", "peer:60", "'..'"),
        ("../../etc", "passwd", "peer:60", "'..'"),
        ("/", "/etc/passwd", "peer:60", "absolute path"),
        ("/", "windows.img.torrent", "peer:60", "sidecar"),
        ("/", "windows.img", "peer", "MODE:SECONDS"),
        ("/", "windows.img", "swarm:60", "'swarm'"),
        ("/", "windows.img", "peer:-5", "MODE:SECONDS"),
    ],
)
def test_a_name_or_session_of_the_wrong_form_is_told_as_such(
    tmp_path: Path, command: Command, subdir: str, name: str, session: str, words: str
) -> None:
    arguments = ("update-cache", "127.0.0.1:1", subdir, name, "--cache", tmp_path, "--session", session)
    code, _, said = command(*arguments)
    told(Update([], code, said), 1, words)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_cache_that_leads_out_of_it_is_not_followed(
    server: Server, seat: Seats, tmp_path: Path
) -> None:
    pc, outside = seat(), tmp_path / "outside"
    outside.mkdir()
    (pc.cache / "images").mkdir()
    (pc.cache / "images" / "aula1").symlink_to(outside)
    told(pc.update(server.address, "windows.img", subdir="aula1"), 14, "leads out of the cache")
    assert list(outside.iterdir()) == []


def test_a_link_under_the_images_own_name_is_not_written_through(
    server: Server, seat: Seats, tmp_path: Path
) -> None:
    pc, outside = seat(), image(tmp_path / "outside.img", SIZE, seed=4)
    before = sha(outside)
    (pc.cache / "images").mkdir()
    (pc.cache / "images" / "windows.img").symlink_to(outside)
    # With the metainfo beside it, it looks as if it were this image, and to be mended where it stands.
    shutil.copy(server.root / "windows.img.torrent", pc.cache / "images")
    told(pc.update(server.address, "windows.img"), 14, "leads out of the cache")
    assert sha(outside) == before


@pytest.fixture
def liar() -> Iterator[Callable[[bytes], str]]:
    """A server with a good catalogue and a `.torrent` of one's own."""
    listeners: list[socket.socket] = []

    def start(torrent: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        answer = b'{"ogtorrent":1,"layout":"bare","name":"images","package":"","state":"ready","size":1}'

        def serve_all() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    body = torrent if b"GET /torrents/" in connection.recv(65536) else answer
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        threading.Thread(target=serve_all, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.room
def test_a_hostile_torrent_is_refused_and_nothing_is_written(
    liar: Callable[[bytes], str], seat: Seats, tmp_path: Path
) -> None:
    there = image(tmp_path / "images" / "clone.img" / "sda1", 1000).parent
    assert ogtorrent("publish", there).returncode == 0
    good = (tmp_path / "images" / "clone.img.torrent").read_bytes()
    climbing = good.replace(b"l9:clone.img4:sda1e", b"l9:clone.img2:..4:sda1e")
    assert climbing != good
    pc = seat()
    told(pc.update(liar(climbing), "clone.img"), 31, "'..'")
    told(pc.update(liar(b"l" * MIB), "clone.img"), 31, "not bencoded")
    told(
        pc.update(liar(good.replace(b"6:lengthi1000e", b"6:lengthi9000000000000000e")), "clone.img"),
        31,
        "absurd",
    )
    assert [path.name for path in pc.cache.iterdir()] == [".ogtorrent"]


@pytest.mark.parametrize("server", ["127.0.0.1:1", "nobody.invalid"])
def test_a_server_that_cannot_be_reached_is_told_as_such(seat: Seats, server: str) -> None:
    told(seat().update(server, "windows.img"), 23, server, "does not answer")


def test_an_address_that_is_not_this_pcs_is_told_as_such(server: Server, seat: Seats) -> None:
    pc = seat()
    pc.address = "192.0.2.1"
    told(pc.update(server.address, "windows.img"), 60, "192.0.2.1")


def test_a_seeder_survives_requests_that_are_none(filled: tuple[Server, Seat, Path]) -> None:
    server, pc, _ = filled
    for request in (
        b"",
        b"\n",
        b"garbage\n",
        b"[]\n",
        b'{"do":"dance"}\n',
        b'{"do":"update"}\n',
        b"7\n",
        b"x" * MIB,
    ):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(pc.cache / ".ogtorrent" / "seeder.sock"))
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    assert pc.update(server.address, "windows.img").done.fetched == 0


def test_a_terminal_is_shown_a_bar(server: Server, seat: Seats) -> None:
    pc = seat()
    command = f"{sys.executable} -m ogtorrent update-cache {server.address} / windows.img --cache {pc.cache}"
    ran = subprocess.run(
        ["script", "-qec", f"{command} --address {pc.address}", "/dev/null"],
        env=environment() | {"TERM": "xterm"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ran.stdout)
    assert "windows.img" in shown and "━" in shown
    assert "whole after" in shown and "from other seats; seeding for 60 min" in shown


# What needs root and mounts


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of one's own for a cache."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.room
@pytest.mark.root
def test_a_cache_on_a_read_only_disk_is_told_as_such(disk: Callable[[str], Path]) -> None:
    cache = disk("ro")
    ran = ogtorrent("update-cache", "127.0.0.1:1", "/", "windows.img", "--cache", cache)
    told(ran, 14, str(cache), "Read-only")


@pytest.mark.room
@pytest.mark.root
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_cache_of_another_user_is_told_as_such(tmp_path: Path, mode: int) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    os.chown(cache, 65534, 65534)
    cache.chmod(mode)
    command = [
        *AS_A_USER,
        sys.executable,
        "-m",
        "ogtorrent",
        "update-cache",
        "127.0.0.1:1",
        "/",
        "windows.img",
    ]
    ran = subprocess.run([*command, "--cache", cache], env=environment(), capture_output=True, text=True)
    told(ran, 14, str(cache), "Permission denied")


@pytest.mark.room
@pytest.mark.root
@pytest.mark.parametrize(("size", "state"), [("4m", "too small"), ("9m", "full")])
def test_a_cache_with_too_little_room_is_told_before_anything_is_fetched(
    disk: Callable[[str], Path], served: Server, seat: Seats, size: str, state: str
) -> None:
    image(served.root / "windows.img", 6 * MIB)
    windows = served.ready("windows.img")
    pc = seat(disk(f"size={size}"))
    if state == "full":
        (pc.cache / "other").write_bytes(bytes(5 * MIB))
    update = pc.update(served.address, "windows.img")
    told(update, 16, f"The cache is {state}")
    numbers = re.search(r"needs (\d+) more bytes and (\d+) are free", update.said)
    assert numbers is not None
    needed, free = map(int, numbers.groups())
    assert 6 * MIB < needed < 8 * MIB + len(windows.raw) and 0 < free <= 4 * MIB
    assert unfinished(pc) == [] and not (pc.cache / "images" / "windows.img").exists()
    if state == "full":  # and with room again it goes on
        (pc.cache / "other").unlink()
        assert pc.update(served.address, "windows.img").done.size == 6 * MIB


@pytest.mark.room
@pytest.mark.root
def test_a_disk_that_fills_up_in_mid_download_is_told_and_the_next_run_goes_on(
    disk: Callable[[str], Path], slow: Server, seat: Seats
) -> None:
    server, pc = slow, seat(disk("size=7m"))
    running = pc.start(server.address, "windows.img")
    running.until_bytes_come()
    with (pc.cache / "other").open("wb", buffering=0) as other, pytest.raises(OSError):
        while True:
            other.write(bytes(65536))
    update = running.end()
    told(update, 16, "windows.img", "more bytes", "are free")
    assert not (pc.cache / "images" / "windows.img").exists()
    (pc.cache / "other").unlink()
    assert pc.update(server.address, "windows.img").done.fetched < 2 * SLOW
    assert_filled(pc, server, "windows.img", "images/windows.img")


def test_the_rooms_of_two_runs_do_not_meet() -> None:
    assert NETWORK.startswith("127.") and NETWORK != "127.0.0"
