"""Commands in Spanish: what they say is, and what programs read stays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import DEADLINE, Seat, Server, environment, image, published

SPANISH = {"LC_ALL": "", "LANG": "es_ES.UTF-8"}


def ogtorrent(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ogtorrent", *map(str, arguments)],
        env=environment() | SPANISH,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
    )


def test_help_is_spanish() -> None:
    ran = ogtorrent("update-cache", "--help")
    assert ran.returncode == 0
    assert ran.stdout.startswith("Uso: ogtorrent update-cache [OPCIONES] [SERVIDOR] SUBDIR IMAGEN")
    assert "Muestra este mensaje y termina." in ran.stdout
    assert "por defecto: torrent" in " ".join(ran.stdout.split())


def test_a_wrong_use_is_told_in_spanish() -> None:
    ran = ogtorrent("update-cache", "127.0.0.1")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Error: Lleva SERVIDOR SUBDIR IMAGEN; con --from LUGAR, SUBDIR IMAGEN." in ran.stderr


def test_an_error_is_told_in_spanish_with_its_code(tmp_path: Path) -> None:
    ran = ogtorrent("update-cache", "127.0.0.1:1", "/", "../x.img", "--cache", tmp_path)
    assert ran.returncode == 1
    assert ran.stderr == (
        "ogtorrent: '..' no puede ser el nombre de una imagen: "
        "'.', '..' y los nombres vacíos no son nombres.\n"
    )


@pytest.mark.room
def test_an_update_ends_in_spanish(
    serve: Callable[..., Server], seat: Callable[..., Seat], tmp_path: Path
) -> None:
    root = tmp_path / "images"
    published(image(root / "windows.img", 300_000), root, 300_000)
    server, pc = serve(root), seat()
    server.ready("windows.img")
    given = ("update-cache", server.address, "/", "windows.img", "--cache", pc.cache, "--address", pc.address)
    ran = ogtorrent(*given)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("windows.img: completa en ")
    assert "de otros equipos; se sembrará durante 60 min" in ran.stdout


@pytest.mark.room
def test_what_the_seeder_refuses_is_told_in_its_commands_language(
    serve: Callable[..., Server], seat: Callable[..., Seat], tmp_path: Path
) -> None:
    root, outside = tmp_path / "images", tmp_path / "outside"
    published(image(root / "windows.img", 300_000), root, 300_000)
    outside.mkdir()
    server, pc = serve(root), seat()
    server.ready("windows.img")
    (pc.cache / "images").symlink_to(outside)
    given = ("update-cache", server.address, "/", "windows.img", "--cache", pc.cache, "--address", pc.address)
    ran = ogtorrent(*given)
    assert ran.returncode == 14
    assert "un enlace lleva fuera de la caché" in ran.stderr
