"""The contract is run on each case that this machine's kernel can mount; the others are not collected."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from shutil import which

import pytest
from cases import CASES, KERNEL, Case
from seats import Seat, cabled


@cache
def _mountable(kind: str) -> bool:
    if os.geteuid() == 0 and which("modprobe"):
        subprocess.run(["modprobe", "--quiet", kind])
    return any(line.split()[-1] == kind for line in Path("/proc/filesystems").read_text().splitlines())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        here = [name for name in CASES if name not in KERNEL or _mountable(KERNEL[name])]
        metafunc.parametrize("case", here, indirect=True, scope="module")


@pytest.fixture(scope="module")
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Seat, Case]]:
    folder = tmp_path_factory.mktemp(request.param)
    tree = folder / "tree"
    (tree / "aula1").mkdir(parents=True)
    tree.chmod(0o777)
    (tree / "aula1" / "windows ñ.img").write_bytes(os.urandom(3 * 2**20 + 1))
    (tree / "linux.img").write_bytes(b"linux" * 1000)
    with cabled(folder) as (seat, server), CASES[request.param](seat, server, folder) as case:
        yield seat, case
