"""The wheel is whole: installed in an environment of its own, far from the tree, it serves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest

from .laboratory import PROJECT, until

pytestmark = pytest.mark.room


def test_the_wheel_serves_from_an_environment_of_its_own(tmp_path: Path) -> None:
    wheel = build(tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)

    assert run(programs / "ogtorrent", "--version").startswith("ogtorrent, version 0")
    where = run(
        programs / "python", "-c", "import ogtorrent, tracker; print(ogtorrent.__file__, tracker.__file__)"
    )
    assert where.count(str(tmp_path / "venv")) == 2, "the tree was found instead of what is installed"

    spanish = run("env", "LC_ALL=es_ES.UTF-8", programs / "ogtorrent", "--help")
    assert spanish.startswith("Uso: ogtorrent"), "the catalogues were left out"

    (tmp_path / "images").mkdir()
    said, log = tmp_path / "serve.out", tmp_path / "serve.log"
    options = ["--listen", "127.0.0.1:0", "--peer-port", "0"]
    with said.open("wb") as out, log.open("wb") as err:
        server = subprocess.Popen(
            [programs / "ogtorrent", "serve", tmp_path / "images", *options],
            cwd="/",
            env=environment(),
            stdout=out,
            stderr=err,
        )
    try:
        until(lambda: "announce http://" in said.read_text(), "the server answers", log=log)
        site = said.read_text().partition("announce ")[2].partition("/announce")[0]
        page = get(f"{site}/")
        assert "<title>" in page
        css = (PROJECT / "tracker" / "look" / "page.css").read_text()
        assert css in page
        assert get(f"{site}/health") == '{"status": "ok", "torrents": 0}'
    finally:
        server.terminate()
    assert server.wait(30) == 0


def build(folder: Path) -> Path:
    """A wheel of a copy of the tree: setuptools leaves files where it builds, and takes old ones in."""
    copy = folder / "tree"
    copy.mkdir()
    for name in ("ogtorrent", "tracker"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, copy)
    for licence in PROJECT.glob("LICENSE*"):
        shutil.copy(licence, copy)
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", folder / "wheels"]
    run(sys.executable, "-m", "pip", "wheel", *options, copy)
    (wheel,) = (folder / "wheels").glob("ogtorrent-*.whl")
    return wheel


def run(*argv: str | Path) -> str:
    done = subprocess.run(
        list(map(str, argv)), cwd="/", env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{argv[0]}: exit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def environment() -> dict[str, str]:
    """Ours, without what would lead to the tree."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body.decode()
