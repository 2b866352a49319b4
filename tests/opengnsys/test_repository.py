"""torrent-creator, torrent-tracker and sendFileMcast as cron and `ogAdmRepoAux` call them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from machines import DEADLINE, environment, image, ogtorrent

from ogtorrent.repository.opengnsys import cron
from ogtorrent.swarm import metainfo

SESSION = "9000:full-duplex:239.194.17.2:70M:20:120"


@pytest.fixture
def opengnsys(tmp_path: Path) -> Path:
    """A repository of OpenGnsys with our commands in place."""
    prefix = tmp_path / "opengnsys"
    for name in ("bin", "etc", "log", "images/aula1"):
        (prefix / name).mkdir(parents=True)
    (prefix / "etc" / "ogAdmRepo.cfg").write_text("IPlocal=10.1.1.1\nApiToken=secret\n")
    for name in ("torrent-creator", "torrent-tracker", "sendFileMcast"):
        (prefix / "bin" / name).write_text("#!/bin/bash\nexit 99\n")
        (prefix / "bin" / name).chmod(0o755)
    installed = ogtorrent("opengnsys", "install", "--prefix", prefix)
    assert installed.returncode == 0, installed.stderr
    return prefix


def call(prefix: Path, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [prefix / "bin" / name, *arguments],
        env=environment(),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


@pytest.mark.room
def test_torrent_creator_publishes_for_old_seats_and_says_nothing(opengnsys: Path) -> None:
    images = opengnsys / "images"
    for name in ("windows.img", "aula1/base.pgz", "busy.img"):
        image(images / name, 100_000)
    (images / "busy.img.lock").touch()
    for _ in range(2):
        ran = call(opengnsys, "torrent-creator")
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
        if _ == 0:
            written = {path: path.stat().st_mtime_ns for path in images.rglob("*.torrent")}
    assert {path: path.stat().st_mtime_ns for path in images.rglob("*.torrent")} == written
    assert {str(path.relative_to(images)) for path in written} == {
        "windows.img.torrent",
        "aula1/base.pgz.torrent",
    }
    found = metainfo.read(images / "aula1" / "base.pgz.torrent")
    assert (found.is_single, found.name, str(found.image)) == (True, "images", "aula1/base.pgz")
    assert found.trackers == ("http://10.1.1.1:6969/announce",)
    assert (opengnsys / "log" / "torrent-creator.log").read_text().count("bytes") == 2


def test_a_machine_that_is_no_repository_is_left_alone(opengnsys: Path, tmp_path: Path) -> None:
    image(opengnsys / "images" / "windows.img", 100_000)
    defaults = tmp_path / "default"
    defaults.write_text('RUN_OGADMSERVER="yes"\nRUN_OGADMREPO="no"\n')
    assert cron.create(cron.Repository(opengnsys, defaults)) == 0
    assert cron.track(cron.Repository(opengnsys, defaults), ["false"]) == 0
    assert not list(opengnsys.rglob("*.torrent"))
    (opengnsys / "etc" / "ogAdmRepo.cfg").unlink()
    assert call(opengnsys, "torrent-creator").returncode == 1
    assert call(opengnsys, "torrent-tracker").returncode == 1


@pytest.mark.root
@pytest.mark.room
def test_torrent_tracker_has_one_server_run_and_ends_opengnsys_own(opengnsys: Path) -> None:
    image(opengnsys / "images" / "windows.img", 100_000)
    bttrack = opengnsys.parent / "bttrack"
    bttrack.write_text(f"#!{sys.executable}\nimport socket, time\n{LISTENS}")
    bttrack.chmod(0o755)
    tracker, creator = opengnsys / "bin" / "torrent-tracker", opengnsys / "bin" / "torrent-creator"
    answers = f"{sys.executable} -c 'import urllib.request as u; print(u.urlopen(\"{URL}\").read())'"
    script = f"""
        ip link set lo up
        {bttrack} & until ss -ltn | grep -q :6969; do sleep 0.05; done
        {tracker} & {tracker}; wait %2
        {tracker}; {creator}; echo codes $?
        echo servers $(pgrep -fc '[o]gtorrent serve')
        echo bttrack $(pgrep -c bttrack)
        {answers}
    """
    alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c"]
    ran = subprocess.run(
        [*alone, script], env=environment(), capture_output=True, text=True, timeout=4 * DEADLINE
    )
    said = ran.stdout.splitlines()
    assert said[:3] == ["codes 0", "servers 1", "bttrack 0"], (ran.stdout, ran.stderr)
    assert '"windows.img"' in said[3]


LISTENS = """
with socket.create_server(("0.0.0.0", 6969)) as server:
    time.sleep(600)
"""
URL = "http://127.0.0.1:6969/catalogue"


@pytest.mark.room
def test_send_file_mcast_has_its_own_codes(opengnsys: Path) -> None:
    image(opengnsys / "images" / "windows.img", 1000)
    refused = {
        (): 1,
        ("windows.img",): 1,
        ("windows.img", SESSION, "more"): 1,
        ("linux.img", SESSION): 2,
        ("windows.img", "9000:full-duplex"): 3,
        ("windows.img", SESSION.replace("9000", "80")): 3,
        (str(opengnsys / "images" / "windows.img"), SESSION.replace("full-duplex", "quickly")): 3,
        ("../etc/ogAdmRepo.cfg", SESSION): 2,
        (str(opengnsys / "images" / ".." / ".." / ".." / "etc" / "passwd"), SESSION): 2,
        ("help",): 0,
    }
    for arguments, code in refused.items():
        ran = call(opengnsys, "sendFileMcast", *arguments)
        assert (ran.returncode, ran.stderr) == (code, ""), arguments
        assert "sendFileMcast" in ran.stdout
