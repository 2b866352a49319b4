"""`opengnsys install` and `uninstall`: what stands where, also when they are cut or OpenGnsys writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from machines import environment, killed_at, ogtorrent

from ogtorrent.cli import cli
from ogtorrent.errors import NoOpenGnsys, NotWritable
from ogtorrent.opengnsys.places import MARK, Side, places

COMMANDS = ("bin/torrent-creator", "bin/torrent-tracker", "bin/sendFileMcast", "client/scripts/updateCache")
CHANGES = ("os.link", "os.chmod", "os.chown")  # besides those that count anyway

Stood = tuple[bytes, int, int, int, int]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An OpenGnsys whose commands say which they are, with their arguments and a function of the caller's."""
    for number, name in enumerate(COMMANDS):
        command = tmp_path / "opengnsys" / name
        command.parent.mkdir(parents=True, exist_ok=True)
        write(command, "1")
        command.chmod(0o750 + number)
        os.utime(command, ns=(number, 1_600_000_000_123_456_789 + number))
    return tmp_path / "opengnsys"


def write(command: Path, version: str) -> None:
    command.write_text(f'#!/bin/bash\necho "$(basename "$0") {version}: $*; $(type -t ogEcho)"\n')


def state(prefix: Path) -> dict[str, Stood]:
    """Every file below, as it stands: bytes, mode, owner, time."""
    found = {}
    for path in sorted(prefix.rglob("*")):
        if path.is_file():
            status = path.stat()
            kept = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)
            found[str(path.relative_to(prefix))] = (path.read_bytes(), *kept)
    return found


def run(command: str, prefix: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["opengnsys", command, "--prefix", str(prefix), *options])


def done(command: str, prefix: Path, *options: str) -> str:
    result = run(command, prefix, *options)
    assert result.exit_code == 0, result.output
    return result.output


def ours(prefix: Path) -> list[bool]:
    return [MARK in (prefix / name).read_text() for name in COMMANDS]


def says(command: Path, *arguments: str, **environment: str) -> str:
    """What a command prints to a caller who has OpenGnsys's functions exported, on a PC without ogtorrent."""
    script = 'ogEcho() { :; }; export -f ogEcho; "$@"'
    called = subprocess.run(
        ["bash", "-c", script, "bash", command, *arguments],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
    )
    return called.stdout + called.stderr


def test_the_originals_are_kept_and_come_back_as_they_were(prefix: Path) -> None:
    before = state(prefix)
    done("install", prefix)
    assert ours(prefix) == [True] * 4
    for place in places(prefix):
        assert place.path.stat().st_mode == place.kept.stat().st_mode
        assert (
            Stood((place.kept.read_bytes(), *before[f"{place.folder}/{place.name}"][1:]))
            == before[f"{place.folder}/{place.name}"]
        )
    installed = state(prefix)
    assert done("install", prefix).count("in place already") == 4
    assert state(prefix) == installed
    done("uninstall", prefix)
    assert state(prefix) == before
    assert not list(prefix.rglob(".ogtorrent"))


def test_a_side_that_is_not_here_is_passed_over_and_nothing_at_all_is_refused(prefix: Path) -> None:
    shutil.rmtree(prefix / "client")
    assert "passed over" in done("install", prefix)
    assert not (prefix / "client").exists()
    refused = run("install", prefix / "bin").exception
    assert isinstance(refused, NoOpenGnsys)
    assert (refused.exit_code, "--prefix" in str(refused)) == (2, True)


@pytest.mark.room
@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_what_is_killed_at_any_step_runs_and_is_finished_or_undone(prefix: Path, command: str) -> None:
    before = state(prefix)
    step, killed = 0, True
    while killed:
        if command == "uninstall":
            done("install", prefix)
        killed = killed_at(step, lambda: run(command, prefix), CHANGES)
        for place in places(prefix):
            content = place.path.read_text()
            assert MARK in content or "basename" in content, step
            # A seat without ogtorrent has OpenGnsys's own in any case; the repository has ours as soon as it
            # stands there.
            if place.side is Side.SEAT or MARK not in content:
                assert says(place.path, "a b") == f"{place.name} 1: a b; function\n", step
        if step % 2:
            done("install", prefix)
            assert ours(prefix) == [True] * 4
        done("uninstall", prefix)
        assert state(prefix) == before, step
        assert not list(prefix.rglob(".ogtorrent"))
        step += 1
    assert step > 12


def test_an_upgrade_of_opengnsys_is_noticed(prefix: Path) -> None:
    command = prefix / "client/scripts/updateCache"
    done("install", prefix)
    write(command, "2")
    upgraded = command.read_bytes()
    told = done("uninstall", prefix)
    assert "updateCache: not ours any more, and stays" in told
    assert command.read_bytes() == upgraded
    assert "1" in (command.parent / ".ogtorrent" / "updateCache").read_text()

    assert "updateCache: OpenGnsys has written a new one" in done("install", prefix)
    assert ours(prefix) == [True] * 4
    assert says(command) == "updateCache 2: ; function\n"
    done("uninstall", prefix)
    assert command.read_bytes() == upgraded


def test_a_lost_original_is_said_and_ours_stays(prefix: Path) -> None:
    done("install", prefix)
    places(prefix)[0].kept.unlink()
    places(prefix)[1].kept.write_text("#!/bin/sh\n")
    refused = ogtorrent("opengnsys", "uninstall", "--prefix", prefix)
    assert refused.returncode == 2
    assert refused.stderr.count("cannot be brought back") == 2
    assert ours(prefix) == [True, True, False, False]


def test_a_room_moves_alone(prefix: Path) -> None:
    command = prefix / "client/scripts/updateCache"
    program = prefix.parent / "ogtorrent"
    program.write_text('#!/bin/sh\necho "ours: $*"\n')
    program.chmod(0o755)
    path = f"{program.parent}:/usr/bin:/bin"
    done("install", prefix, "--room", "aula1", "--room", "aula_2")
    original = f"{command.parent}/.ogtorrent/updateCache"
    moved = f"ours: opengnsys run --original {original} updateCache REPO /a.img\n"
    assert says(command, "REPO", "/a.img", PATH=path, group="aula1") == moved
    assert says(command, "REPO", "/a.img", PATH=path, group="aula_2") == moved
    for other in ("aula", "aula3", "", "*", "aula1 aula_2x"):
        assert says(command, PATH=path, group=other) == "updateCache 1: ; function\n"
    assert says(command, PATH=path) == "updateCache 1: ; function\n"
    done("install", prefix)
    assert says(command, "REPO", "/a.img", PATH=path) == moved
    assert run("install", prefix, "--room", '"; reboot').exit_code != 0


def test_it_finds_the_original_however_it_is_called(prefix: Path, tmp_path: Path) -> None:
    command = prefix / "client/scripts/updateCache"
    done("install", prefix)
    link = tmp_path / "update"
    link.symlink_to(command)
    assert says(link, "x") == "updateCache 1: x; function\n"
    called = ["bash", "-c", f"cd {command.parent} && bash updateCache x"]
    assert subprocess.run(called, capture_output=True, text=True).stdout == "updateCache 1: x; \n"


def test_the_pcs_reach_the_originals_whatever_umask_their_server_has(prefix: Path) -> None:
    before = os.umask(0o077)
    try:
        done("install", prefix)
    finally:
        os.umask(before)
    for place in places(prefix):
        assert place.kept.parent.stat().st_mode & 0o777 == 0o755
        assert place.path.stat().st_mode == place.kept.stat().st_mode


@pytest.mark.root
def test_a_prefix_that_is_read_only_stays_as_it_was_and_is_said(prefix: Path) -> None:
    before = state(prefix)
    for installed in (False, True):
        mount = f"mount --bind {prefix} {prefix} && mount -o remount,bind,ro {prefix}"
        verb = "uninstall" if installed else "install"
        call = f"{sys.executable} -m ogtorrent opengnsys {verb} --prefix {prefix}"
        alone = ["unshare", "--mount", "sh", "-c", f"{mount} && {call}"]
        refused = subprocess.run(alone, env=environment(), capture_output=True, text=True)
        assert refused.returncode == 14, refused.stderr
        assert refused.stderr.count("Read-only file system") == 4
        assert "Traceback" not in refused.stderr
        if not installed:
            assert state(prefix) == before
            done("install", prefix)
    done("uninstall", prefix)
    assert state(prefix) == before


def test_what_became_a_link_keeps_nobody_else_from_his_original(prefix: Path) -> None:
    before = state(prefix)
    done("install", prefix)
    command = prefix / "bin/torrent-creator"
    command.rename(prefix / "elsewhere")
    command.symlink_to("../elsewhere")
    refused = run("uninstall", prefix)
    assert refused.exit_code == 14
    assert "it is a link" in refused.output
    for name in COMMANDS[1:]:
        assert state(prefix)[name] == before[name]


def test_a_link_is_not_moved(prefix: Path) -> None:
    command = prefix / "bin/torrent-creator"
    command.rename(prefix / "elsewhere")
    command.symlink_to("../elsewhere")
    assert isinstance(run("install", prefix).exception, NotWritable)
    assert command.is_symlink()
