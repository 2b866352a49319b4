"""`ogtorrent repo path` and `ogtorrent repo image`: where a script finds an image, and what a path is."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

Command = Callable[..., tuple[int, str, str]]

IMAGE = "aula1/windows.img"
OWN = next(one.address for one in psutil.net_if_addrs()["lo"] if one.address.count(".") == 3)


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """A PC of a legacy repository elsewhere, with a cache."""
    (tmp_path / "opt/opengnsys/images").mkdir(parents=True)
    (tmp_path / "sda3").mkdir()
    root, cache = tmp_path / "opt/opengnsys/images", tmp_path / "sda3"
    return ["--root", str(root), "--cache", str(cache), "--server", "10.1.0.1"]


@pytest.mark.parametrize(
    ("place", "name", "path"),
    [
        ("REPO", "REPO", "/opt/opengnsys/images/10.1.0.1"),
        ("10.1.0.1", "REPO", "/opt/opengnsys/images/10.1.0.1"),
        ("cache", "CACHE", "sda3/opt/opengnsys/images"),
        (OWN, "CACHE", "sda3/opt/opengnsys/images"),
        ("192.0.2.7", "192.0.2.7", "/opt/opengnsys/images/192.0.2.7"),
        ("USB-7", "USB-7", "/mnt/USB-7"),
    ],
)
def test_a_path_is_printed_for_an_image_and_the_image_for_the_path(
    tmp_path: Path, command: Command, options: list[str], place: str, name: str, path: str
) -> None:
    code, said, _ = command("repo", "path", place, IMAGE, *options)
    assert (code, said) == (0, f"{tmp_path / path / IMAGE}\n")
    assert command("repo", "image", said.strip(), *options) == (0, f"{name} {IMAGE}\n", "")


def test_where_several_paths_lead_to_an_image_it_is_the_one_that_is_there(
    tmp_path: Path, command: Command, options: list[str]
) -> None:
    here = tmp_path / "opt/opengnsys/images" / IMAGE
    here.parent.mkdir()
    here.touch()
    assert command("repo", "path", "REPO", f"/{IMAGE}", *options) == (0, f"{here}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("path", "Repo", IMAGE),
        ("path", "REPO", "../../etc/passwd"),
        ("path", "REPO", "w.img.sum"),
        ("image", "/etc/passwd"),
    ],
)
def test_what_is_no_place_or_no_image_is_refused(
    command: Command, options: list[str], arguments: tuple[str, ...]
) -> None:
    code, said, told = command("repo", *arguments, *options)
    assert (code, said) == (1, "") and told.startswith("ogtorrent: ")
