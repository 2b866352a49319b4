"""`python -m tracker FOLDER` as a process of its own."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from tracker.__main__ import main

ROOT = Path(__file__).parents[2]


async def test_it_says_where_it_listens_and_stops_on_a_signal(
    tmp_path: Path, publish: Callable[..., bytes]
) -> None:
    publish("aula1/a")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tracker", str(tmp_path), "--listen", "127.0.0.1:0",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(15):
            line = (await process.stdout.readline()).decode()
            assert line.startswith(f"tracking {tmp_path} by HTTP and UDP at http://127.0.0.1:")
            async with aiohttp.ClientSession() as session, session.get(line.split()[-1]) as reply:
                assert "aula1/a" in await reply.text()
            process.send_signal(signal.SIGTERM)
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    assert b"published: 'aula1/a'" in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("listen", ["6969", "host:6969", "127.0.0.1:ssh", "127.0.0.1:65536"])
def test_a_listen_address_that_is_none_is_refused(tmp_path: Path, listen: str) -> None:
    ran = CliRunner().invoke(main, [str(tmp_path), "--listen", listen])
    assert ran.exit_code == 2
    assert "--listen" in ran.output


def test_an_address_of_another_host_is_an_error_without_traceback(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, [str(tmp_path), "--listen", "192.0.2.1:0"])
    assert ran.exit_code == 1
    assert "Error: " in ran.output
