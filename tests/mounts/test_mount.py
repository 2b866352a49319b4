"""The contract of whatever can be mounted, run on every protocol and device against the real thing."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pexpect
import pytest
from cases import Case
from machines import DEADLINE, environment, until
from seats import Seat

pytestmark = [pytest.mark.room, pytest.mark.root]

Where = tuple[Seat, Case]


@pytest.fixture(autouse=True)
def unmounted(case: Where) -> Iterator[None]:
    seat, what = case
    yield
    seat.run("umount", "--lazy", what.point)
    seat.run("rmdir", what.point)


def mounted(seat: Seat, case: Case, *more: str) -> str:
    done = seat.ogtorrent("mount", *case.mount, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(seat: Seat, case: Case, *arguments: str) -> tuple[int, str]:
    """Code and sentence; nothing is mounted and no directory was left."""
    table, stood = seat.mounts(), seat.inside(case.point).exists()
    done = seat.ogtorrent("mount", *arguments)
    assert done.stdout == "" and done.stderr.startswith("ogtorrent: ") and done.stderr.count("\n") == 1
    assert seat.mounts() == table and seat.inside(case.point).exists() is stood
    return done.returncode, done.stderr


def contents(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def test_it_stands_where_the_layout_says_and_is_the_same(case: Where) -> None:
    seat, what = case
    told = mounted(seat, what)
    assert told.count("\n") == 1 and f"at {what.point}, to be read" in told
    assert contents(seat.inside(what.point)) == contents(what.tree)


def test_it_is_read_only_unless_asked_for(case: Where) -> None:
    seat, what = case
    mounted(seat, what)
    assert "Read-only file system" in seat.run("touch", what.point / "new").stderr


def test_it_is_written_where_that_is_asked_for(case: Where) -> None:
    seat, what = case
    if not what.writes:
        return
    assert "to be read and written" in mounted(seat, what, "--write")
    seat.do(f"echo new > {what.point}/new && sync")
    assert seat.ogtorrent("umount", what.point).returncode == 0  # all is written by then
    assert until((what.tree / "new").exists) and (what.tree / "new").read_text() == "new\n"
    (what.tree / "new").unlink()


def test_it_is_not_mounted_twice(case: Where) -> None:
    seat, what = case
    mounted(seat, what)
    table = seat.mounts()
    assert f"is mounted at {what.point} already" in mounted(seat, what)
    told = json.loads(mounted(seat, what, "--json"))
    assert (told["path"], told["mounted"], told["read_only"]) == (str(what.point), False, True)
    assert seat.mounts() == table


def test_a_shell_is_told_where_it_is(case: Where) -> None:
    seat, what = case
    script = f'{what.variable}=old; eval "$("$0" -m ogtorrent env)"; printf %s "${what.variable}"'
    told = seat.run("sh", "-c", script, sys.executable)
    assert (told.stdout, told.stderr) == ("", "")
    mounted(seat, what)
    assert seat.run("sh", "-c", script, sys.executable).stdout == str(what.point)


def test_it_is_unmounted_by_its_name_and_then_there_is_nothing_to_do(case: Where) -> None:
    seat, what = case
    before = seat.mounts()
    mounted(seat, what)
    done = seat.ogtorrent("umount", what.place)
    assert done.returncode == 0 and f"at {what.point} no more" in done.stdout
    assert seat.mounts() == before and not seat.inside(what.point).exists()
    again = seat.ogtorrent("umount", what.place)
    assert (again.returncode, again.stdout) == (0, f"nothing is mounted at {what.point}\n")


def test_who_uses_it_is_named_and_keeps_it(case: Where) -> None:
    seat, what = case
    mounted(seat, what)
    user = seat.popen("sh", "-c", f"cd {what.point}; echo there; read end", stdin=PIPE, stdout=PIPE)
    try:
        assert user.stdout.readline() == b"there\n"
        done = seat.ogtorrent("umount", what.point)
        assert done.returncode == 4 and f"{what.point} cannot be unmounted: in use by sh (" in done.stderr
        assert contents(seat.inside(what.point)) == contents(what.tree)
    finally:
        user.communicate(b"\n")


def test_a_point_that_is_taken_is_refused(case: Where) -> None:
    seat, what = case
    seat.do(f"mkdir -p {what.point}; mount -t tmpfs stranger {what.point}")
    code, told = refused(seat, what, *what.mount)
    assert code == what.code and f"stranger is mounted at {what.point}" in told


def test_files_are_not_hidden(case: Where) -> None:
    seat, what = case
    seat.do(f"mkdir -p {what.point}; touch {what.point}/mine")
    code, told = refused(seat, what, *what.mount)
    assert code == what.code and "holds files" in told
    seat.do(f"rm {what.point}/mine")


def test_what_is_mounted_elsewhere_is_said(case: Where) -> None:
    seat, what = case
    mounted(seat, what)
    seat.do(f"mkdir -p /mnt/elsewhere; mount --move {what.point} /mnt/elsewhere; rmdir {what.point}")
    code, told = refused(seat, what, *what.mount)
    assert code == what.code and "it is mounted already, at /mnt/elsewhere" in told
    assert seat.ogtorrent("umount", "/mnt/elsewhere").returncode == 0


def test_each_failure_is_a_sentence_with_its_code_and_leaves_nothing(case: Where) -> None:
    seat, what = case
    assert what.failures
    for name, failure in what.failures.items():
        code, told = refused(seat, what, *failure.arguments)
        assert (code, failure.told in told) == (failure.code, True), f"{name}: {told}"
        assert not any(secret in told for secret in what.secrets)


def test_on_a_terminal_the_password_is_asked_for_and_not_shown(case: Where) -> None:
    seat, what = case
    if "no password" not in what.failures or what.failures["no password"].told != "--credentials":
        return
    command = [
        *seat.enter,
        sys.executable,
        "-m",
        "ogtorrent",
        "mount",
        *what.failures["no password"].arguments,
    ]
    terminal = pexpect.spawn(command[0], command[1:], env={**environment()}, timeout=DEADLINE)
    terminal.expect(r"User \[opengnsys\]: ")
    terminal.sendline("")
    terminal.expect("Password: ")
    terminal.sendline(what.secrets[0])
    terminal.expect(pexpect.EOF)
    assert f"is mounted at {what.point}".encode() in terminal.before
    assert what.secrets[0].encode() not in terminal.before


def test_no_secret_is_seen_by_who_looks_at_processes(case: Where) -> None:
    seat, what = case
    seen, over = set(), threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in seat.inside(Path("/proc")).glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        seen.add((process / name).read_bytes())
                    except OSError:
                        continue

    watch = threading.Thread(target=look)
    watch.start()
    try:
        mounted(seat, what)
    finally:
        over.set()
        watch.join()
    assert any(b"ogtorrent" in one for one in seen)
    for secret in what.secrets:
        assert not any(secret.encode() in one for one in seen)
    left = {path.name for path in seat.inside(Path("/run")).glob("ogtorrent-*")}
    assert left == {"ogtorrent-mounts.lock"}


def test_what_goes_while_it_is_used_ends_in_an_error_and_can_be_unmounted(case: Where) -> None:
    """The last, for the server is no more."""
    seat, what = case
    mounted(seat, what)
    what.gone()
    read = seat.run("sh", "-c", f"ls {what.point} && cat {what.point}/linux.img", timeout=10 * DEADLINE)
    assert read.returncode != 0 and "Traceback" not in read.stderr
    assert seat.ogtorrent("umount", what.place).returncode == 0
    assert refused(seat, what, *what.mount)[0] == what.code
