"""What every command does alike: OpenGnsys's exit codes, and sentences instead of tracebacks."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

import ogtorrent.cache.update
import ogtorrent.errors
from ogtorrent.cli import main
from ogtorrent.errors import OgtorrentError

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "arguments",
    [
        "dance",
        "--dance",
        "serve --dance",
        "serve --layout gothic",
        "serve --peer-port 65536",
        "serve --peer-port x",
        "serve one two",
        "publish",
        "update-cache",
        "update-cache 127.0.0.1 /",
        "update-cache 127.0.0.1 / windows.img one-more",
        "update-cache 127.0.0.1 / windows.img --protocol carrier-pigeon",
        "cache dance",
        "cache seed --port -1",
        "demo one",
        "swarm dance",
        "swarm status one two",
    ],
)
def test_a_wrong_use_of_a_command_is_a_matter_of_form(command: Command, arguments: str) -> None:
    code, said, complained = command(*arguments.split())
    assert (code, said) == (1, "")
    assert "Usage: ogtorrent" in complained and "Error: " in complained


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "serve --help",
        "publish -h",
        "update-cache --help",
        "cache --help",
        "cache seed --help",
        "cache stop --help",
        "demo --help",
        "swarm --help",
        "swarm status --help",
    ],
)
def test_help_is_no_failure(command: Command, arguments: str) -> None:
    code, said, complained = command(*arguments.split())
    assert (code, complained) == (0, "")
    assert said.startswith("Usage: ogtorrent")


def test_the_version_is_told(command: Command) -> None:
    code, said, _ = command("--version")
    assert code == 0 and said.startswith("ogtorrent, version ")


def test_what_was_not_foreseen_is_told_without_a_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(named: object) -> None:
        raise ZeroDivisionError("the moon is full")

    monkeypatch.setattr(ogtorrent.cache.update.partition, "find", broken)
    arguments = ("update-cache", "127.0.0.1:1", "/", "windows.img")
    code, _, complained = command(*arguments)
    assert code == 40
    assert "ZeroDivisionError: the moon is full" in complained and "Traceback" not in complained
    assert complained.count("\n") == 1 and "OGTORRENT_TRACEBACK=1" in complained
    monkeypatch.setenv("OGTORRENT_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(list(arguments))


def test_ctrl_c_is_no_defect(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ogtorrent.cache.update.partition, "find", interrupted)
    code, _, complained = command("update-cache", "127.0.0.1:1", "/", "windows.img")
    assert (code, complained.strip()) == (130, "ogtorrent: interrupted")


OPENGNSYS = {1, 2, 3, 4, 5, 7, 14, 15, 16, 21, 23, 31, 33, 40, 55, 56, 57, 60}


def test_every_error_has_a_code_of_opengnsys_and_stands_in_the_tree() -> None:
    errors = [
        error
        for _, error in inspect.getmembers(ogtorrent.errors, inspect.isclass)
        if issubclass(error, Exception)
    ]
    assert len(errors) > 10
    tree = ogtorrent.errors.__doc__ or ""
    for error in errors:
        assert issubclass(error, OgtorrentError)
        assert error.exit_code in OPENGNSYS
        line = next((line for line in tree.splitlines() if f" {error.__name__} " in f"{line} "), "")
        assert str(error.exit_code) in line.split(), f"{error.__name__} is not drawn with its code"
