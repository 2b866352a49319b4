"""`ogtorrent overlay`, as people read it, and what it returns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = tmp_path / "opt/opengnsys/repo"
    for path, text in {
        "images/win.img": "image",
        "groups/aula1/win.img/etc/hosts": "room",
        "groups/aula1/win.img/etc/name": "room",
        "clients/pc1/win.img/etc/name": "pc1",
        "clients/pc1/win.img/bad\x1b[2J": "",
    }.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text(text)
    (repo / ".ogtorrent").mkdir()
    known = {"groups": ["aula1"], "clients": [{"name": "pc1", "group": "aula1", "ip": "10.0.0.1", "mac": ""}]}
    (repo / ".ogtorrent/inventory.json").write_text(json.dumps(known))
    return repo


def test_who_wins_is_told_path_by_path(repo: Path, command: Command) -> None:
    code, out, _ = command("overlay", "show", "win.img", "--root", repo, "--client", "pc1")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0 and "\x1b" not in out
    assert ["etc/hosts", "-rw-r--r--", "0:0", "4", "B", "groups/aula1"] in rows
    assert ["etc/name", "-rw-r--r--", "0:0", "3", "B", "clients/pc1", "groups/aula1"] in rows
    code, out, _ = command("overlay", "show", "other.img", "--root", repo, "--client", "pc1")
    assert code == 0 and out == "nothing is laid over other.img\n"


def test_what_is_laid_is_told_and_a_second_time_that_nothing_is(
    repo: Path, command: Command, tmp_path: Path
) -> None:
    target = tmp_path / "restored"
    (target / "etc").mkdir(parents=True)
    (target / "etc/name").write_text("image")
    given = ("overlay", "apply", target, "--image", "win.img", "--root", repo, "--client", "pc1")
    for dry_run in (["--dry-run"], []):
        code, out, _ = command(*given, *dry_run)
        assert code == 0 and "new  etc/hosts  (groups/aula1)" in out and "replaced  etc/name" in out
    assert out.endswith("2 new, 2 replaced, 0 unchanged\n")
    assert (target / "etc/name").read_text() == "pc1"
    assert command(*given)[:2] == (0, "nothing to change, 4 paths stand\n")
    (target / "etc/hosts").unlink()
    (target / "etc/hosts/in the way").mkdir(parents=True)
    code, out, told = command(*given)
    assert code == 14 and "refused  etc/hosts" in out and "a directory that is not empty" in told


def test_what_cannot_be_is_refused_with_its_code(repo: Path, command: Command, tmp_path: Path) -> None:
    assert command("overlay", "show", "win.img", "--root", repo)[0] == 1
    code, _, told = command("overlay", "show", "win.img", "--root", repo, "--client", "pc9")
    assert code == 2 and "'pc9'" in told
    assert command("overlay", "show", "win.img", "--cache", tmp_path / "opt")[0] == 2
    gone = ("overlay", "apply", tmp_path / "gone", "--image", "win.img", "--root", repo, "--client", "pc1")
    assert command(*gone)[0] == 3


def test_an_overlay_is_published_by_hand(repo: Path, command: Command, tmp_path: Path) -> None:
    (repo / "clients/pc1/win.img/bad\x1b[2J").unlink()
    place = repo / "groups/aula1/win.img"
    assert command("publish", place)[0] == 0 and command("publish", place, "--root", repo)[1].count("already")
    assert (repo / "groups/aula1/win.img.torrent").exists()
    place.chmod(0o700)
    assert "already" in command("publish", place)[1]
    (place / "etc/hosts").chmod(0o600)
    assert "already" not in command("publish", place)[1]
    code, _, told = command("publish", repo / "groups/aula1")
    assert code == 5 and "groups/NAME/IMAGE" in told
