"""`serve --settings`: the same names as the options, the command line before the file, clear refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import HERE, Server, image

from ogtorrent.cli.serve import serve as the_command

PACKAGED = HERE / "packaging" / "ogtorrent.toml"
Command = Callable[..., tuple[int, str, str]]
NAMES = sorted(
    max(one.opts, key=len).lstrip("-") for one in the_command.params if "--settings" not in one.opts
)


@pytest.fixture
def refused(command: Command, tmp_path: Path) -> Callable[[str], str]:
    """What is told of a file that cannot be."""

    def run(content: str) -> str:
        file = tmp_path / "ogtorrent.toml"
        file.write_text(content)
        code, said, complained = command("serve", "--settings", file, tmp_path / "none")
        assert (code, said) == (1, "")
        told = f"ogtorrent: {file}: "
        assert complained.startswith(told) and complained.count("\n") == 1
        return complained.removeprefix(told)

    return run


@pytest.mark.parametrize("name", NAMES)
def test_every_option_can_stand_in_the_file(refused: Callable[[str], str], name: str) -> None:
    assert refused(f"{name} = 1979-05-27").startswith(f"{name}: datetime.date(1979, 5, 27) is not ")


def test_a_setting_that_there_is_not_is_refused(refused: Callable[[str], str]) -> None:
    told = refused('peer_prot = 6881\nallow = ["10.0.0.0/8"]')
    assert told.startswith("peer_prot: there is no such setting. Did you mean 'peer-port'? ")
    assert f"It may set: {', '.join(NAMES)}." in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('peer-port = "6881"', "peer-port: '6881' is not a whole number"),
        ("peer-port = true", "peer-port: True is not a whole number"),
        ("peer-port = 65536", "peer-port: 65536 is not in the range"),
        ("listen = 6969", "listen: 6969 is not a text in quotes"),
        ('listen = "the moon"', "listen: 'the moon' cannot be used"),
        ('allow = "10.0.0.0/8"', "allow: '10.0.0.0/8' is not a list of texts"),
        ('allow = ["10.0.0.1/8"]', "allow: '10.0.0.1/8' cannot be used"),
        ('room = ["aula1=moon"]', "room: 'moon' cannot be used"),
        ('verbose = "yes"', "verbose: 'yes' is not true or false"),
        ('layout = "gothic"', "layout: 'gothic' is not one of"),
        ('[serve]\nroot = "/srv"', "serve: there is no such setting"),
        ("root =", "it cannot be read (Invalid value"),
    ],
)
def test_a_wrong_value_is_told_with_file_and_name(
    refused: Callable[[str], str], line: str, told: str
) -> None:
    assert refused(line).startswith(told)


def test_a_file_that_is_not_there_is_a_matter_of_form(command: Command, tmp_path: Path) -> None:
    code, said, complained = command("serve", "--settings", tmp_path / "none.toml")
    assert (code, said) == (1, "") and "none.toml" in complained.replace("\n", "")


def test_the_command_line_counts_before_the_file(serve: Callable[..., Server], tmp_path: Path) -> None:
    root, log = tmp_path / "images", tmp_path / "access.log"
    image(root / "windows.img", 4096)
    file = tmp_path / "ogtorrent.toml"
    file.write_text(
        f"""
        root = "/nowhere"
        listen = "192.0.2.1:1"
        announce = ["http://192.0.2.1:7000/announce"]
        access-log = "{log}"
        """
    )
    server = serve(root, "--settings", str(file), "--announce", "http://127.0.0.1:7000/announce")
    assert server.address == "127.0.0.1:7000"  # of what it prints, and writes into metainfo
    server.end()
    assert log.exists()


def test_the_root_may_come_from_the_file(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "ogtorrent.toml"
    file.write_text(f'root = "{tmp_path / "none"}"')
    code, _, complained = command("serve", "--settings", file)
    assert code == 2 and str(tmp_path / "none") in complained


def test_a_log_that_cannot_be_written_ends_the_server(command: Command, tmp_path: Path) -> None:
    log = tmp_path / "none" / "log"
    code, _, complained = command("serve", tmp_path, "--listen", "192.0.2.1:1", "--access-log", log)
    assert code == 14 and str(log) in complained


def test_what_the_packaged_file_proposes_is_accepted(command: Command, tmp_path: Path) -> None:
    proposed = re.sub(r"^#(?=[\w-]+ = )", "", PACKAGED.read_text(), flags=re.MULTILINE)
    assert "\nroot = " in proposed and "\naccess-log = " in proposed
    file = tmp_path / "ogtorrent.toml"
    file.write_text(proposed)
    code, _, complained = command("serve", "--settings", file, tmp_path / "none")
    assert code == 2 and str(tmp_path / "none") in complained, complained
