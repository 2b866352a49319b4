"""Machines that end with their test; tests side by side (`pytest -n`); and in CI nothing may be skipped."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from machines import Seat, Server

# Before the first word is loaded: whoever runs the tests may speak another language.
os.environ["LC_ALL"] = "C.UTF-8"

from ogtorrent.cli import main

# Whoever starts the tests in the background has SIGINT ignored, and what the tests start would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)


CLONE_NEWNS = 0x20000  # <sched.h>; Python 3.12 has os.unshare


def pytest_configure(config: pytest.Config) -> None:
    """A worker of `pytest -n` has mounts of its own: another's `unshare --mount` would keep them busy."""
    if hasattr(config, "workerinput") and os.geteuid() == 0 and ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole rooms first: they wait more than they work, so there is to be something beside them."""
    rooms = Path(__file__).with_name("rooms")
    items.sort(key=lambda item: rooms not in item.path.parents)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("mounts, devices and other users' files need root")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server over a root; it is ended by SIGTERM when the test is over."""
    servers: list[Server] = []

    def start(root: Path, *options: str, **more: Any) -> Server:
        servers.append(Server(tmp_path / f"server{len(servers)}", root, *options, **more))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            assert server.end() == 0, server.log
        assert "Traceback" not in server.log and "unforeseen" not in server.log


@pytest.fixture
def served(serve: Callable[..., Server], tmp_path: Path) -> Server:
    """A server over an empty bare folder."""
    root = tmp_path / "images"
    root.mkdir()
    return serve(root)


@pytest.fixture
def seat(tmp_path: Path) -> Iterator[Callable[..., Seat]]:
    """Make a seat; its seeder is stopped when the test is over."""
    seats: list[Seat] = []

    def make(cache: Path | None = None) -> Seat:
        seats.append(Seat(cache or tmp_path / f"pc{len(seats) + 1}"))
        return seats[-1]

    yield make
    for one in seats:
        one.stop()
        assert "Traceback" not in one.log


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process; exit code, standard output, standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            return int(ended.code or 0), *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


def _refuse_skip(report: Any) -> Any:
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped in CI: {why}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Any:
    return _refuse_skip((yield))
