"""README.md mentions every command, every option and every exit code."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ogtorrent.errors
from ogtorrent.cli import cli

README = Path(__file__).parents[1] / "README.md"


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for child in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), child)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {child}")
        else:
            yield f"{name} {child}", command


COMMANDS = dict(commands(cli, "ogtorrent"))
OPTIONS = sorted(
    {
        (name, max(option.opts, key=len))
        for name, command in COMMANDS.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    }
)
CODES = sorted(
    {
        (error.exit_code, name)
        for name, error in inspect.getmembers(ogtorrent.errors, inspect.isclass)
        if issubclass(error, Exception)
    }
)


@pytest.fixture(scope="module")
def readme() -> str:
    return README.read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_mentioned(readme: str, command: str) -> None:
    assert re.search(rf"\b{re.escape(command)}\b", readme)


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=" ".join)
def test_an_option_is_mentioned(readme: str, command: str, option: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", readme)


@pytest.mark.parametrize("code", sorted({code for code, _ in CODES}))
def test_an_exit_code_stands_in_a_row_of_the_table(readme: str, code: int) -> None:
    assert re.search(rf"^\|\s*`?{code}`?\s*\|", readme, re.MULTILINE)
