"""A real Valkey, or Debian's Redis, which speaks the same protocol, on a socket of its own."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
import valkey


class Server:
    """One server; nothing of it outlasts its end, unless it is to keep its swarms in its folder."""

    def __init__(self, folder: Path, *, keeps: bool = False, port: int = 0) -> None:
        self.url = f"valkey://127.0.0.1:{port}" if port else f"unix://{folder}/valkey.sock"
        self._folder = folder
        self._keeps = keeps
        self._port = port
        self.start()

    def start(self) -> None:
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        if program is None:
            pytest.skip("neither valkey-server nor redis-server is installed (apt: redis-server)")
        self.process = subprocess.Popen(
            [
                program, "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder),
                "--unixsocket", str(self._folder / "valkey.sock"),
                "--save", "", "--appendonly", "yes" if self._keeps else "no",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, "the store does not start"
            time.sleep(0.02)

    def empty(self) -> None:
        with valkey.Valkey.from_url(self.url) as client:
            client.flushall()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with valkey.Valkey.from_url(self.url) as client:
                return bool(client.ping())
        except valkey.ConnectionError:
            return False
