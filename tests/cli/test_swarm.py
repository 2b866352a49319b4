"""`ogtorrent swarm status` at a real tracker."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote_from_bytes

import libtorrent as lt
import pytest
from machines import DEADLINE, environment, until

Command = Callable[..., tuple[int, str, str]]
SIZE, PIECE = 1_000_000, 65536
INFO = {b"length": SIZE, b"name": b"images", b"piece length": PIECE, b"pieces": bytes(20 * 16)}
INFO_HASH = hashlib.sha1(lt.bencode(INFO)).digest()


@pytest.fixture
def torrents(tmp_path: Path) -> Path:
    folder = tmp_path / "torrents"
    folder.mkdir()
    (folder / "windows.img.torrent").write_bytes(lt.bencode({b"announce": b"http://x/", b"info": INFO}))
    return folder


@contextmanager
def tracker(folder: Path, port: str = "0") -> Iterator[str]:
    """`python -m tracker`; yields ADDRESS:PORT."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tracker", str(folder), "--listen", f"127.0.0.1:{port}"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = threading.Timer(2 * DEADLINE, process.kill)
    deadline.start()
    assert process.stdout is not None
    try:
        yield process.stdout.readline().partition("//")[2].partition("/")[0]
    finally:
        deadline.cancel()
        process.terminate()
        process.wait(DEADLINE)
        process.stdout.close()


def announce(server: str, seat: str, left: int) -> None:
    """As a client at that address, which is not the tracker's own."""
    query = f"info_hash={quote_from_bytes(INFO_HASH)}&peer_id={seat:x<20}&port=6881"
    connection = http.client.HTTPConnection(server, timeout=DEADLINE, source_address=(seat, 0))
    with contextlib.closing(connection):
        connection.request("GET", f"/announce?{query}&uploaded=0&downloaded=0&left={left}")
        assert b"failure" not in connection.getresponse().read()


class Terminal:
    """A command that has a terminal of 100 columns."""

    def __init__(self, *arguments: str, **more: str) -> None:
        inner, outer = pty.openpty()
        termios.tcsetwinsize(outer, (40, 100))
        variables = environment() | {"TERM": "xterm-256color"} | more
        for name in ("COLUMNS", "LINES"):
            variables.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ogtorrent", *arguments],
            env=variables,
            stdin=outer,
            stdout=outer,
            stderr=outer,
            start_new_session=True,
        )
        os.close(outer)
        self._inner = inner
        self.written = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the command has ended
            while chunk := os.read(self._inner, 65536):
                self.written += chunk.decode(errors="replace")

    @property
    def picture(self) -> str:
        """What was drawn last."""
        last = self.written.rpartition("\x1b[H")[2]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last)

    def end(self) -> int:
        try:
            return self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join(DEADLINE)
            os.close(self._inner)


def test_one_picture_where_there_is_no_terminal(torrents: Path, command: Command) -> None:
    with tracker(torrents) as server:
        announce(server, "127.0.0.20", SIZE // 2)
        announce(server, "127.0.0.21", 0)
        code, said, complained = command("swarm", "status", server)
    assert (code, complained) == (0, "")
    assert said.startswith(f"Repository {server}") and "\x1b" not in said
    assert "✓ 1 done  ▸ 1 filling" in said and "127.0.0.20  50 %" in said and "127.0.0.21" not in said


@pytest.mark.room
def test_the_terminal_is_kept_up_to_date_until_ctrl_c(torrents: Path) -> None:
    with contextlib.ExitStack() as first:
        server = first.enter_context(tracker(torrents))
        watch = Terminal("swarm", "status", server)
        until(lambda: "1 image is published that no seat asks for" in watch.picture)
        announce(server, "127.0.0.20", SIZE // 2)
        until(lambda: "127.0.0.20  50 %" in watch.picture)
    gone = f"The repository {server} does not answer"
    until(lambda: gone in (shown := watch.picture) and "127.0.0.20  50 %" in shown)
    with tracker(torrents, server.partition(":")[2]):
        announce(server, "127.0.0.21", SIZE // 4)
        until(lambda: "127.0.0.21  75 %" in (shown := watch.picture) and gone not in shown)
        watch.process.send_signal(signal.SIGINT)
        assert watch.end() == 0
    assert "Traceback" not in watch.written
    assert watch.written.endswith("\x1b[?25h\x1b[?1049l"), "the terminal is not given back"


@pytest.mark.room
def test_colours_are_left_out_where_nobody_wants_them(torrents: Path) -> None:
    coloured = r"\x1b\[[0-9;]*\b[349][0-7]m"
    with tracker(torrents) as server:
        announce(server, "127.0.0.20", SIZE // 2)
        for variables, expected in (({}, True), ({"NO_COLOR": "1"}, False)):
            shown = Terminal("swarm", "status", server, "--once", **variables)
            assert shown.end() == 0
            assert "1 filling" in shown.picture
            assert bool(re.search(coloured, shown.written)) is expected


def test_a_server_that_is_not_there_is_an_error(command: Command) -> None:
    code, said, complained = command("swarm", "status", "127.0.0.1:1")
    assert (code, said) == (23, "")
    assert complained.startswith("ogtorrent: The repository 127.0.0.1:1 does not answer: ")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"swarms": 1}', b"[" * 100_000])
def test_a_server_of_somebody_else_is_an_error(command: Command, body: bytes) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        code, said, complained = command("swarm", "status", f"127.0.0.1:{server.server_port}")
    assert (code, said) == (23, "")
    assert (
        "answers, but not as a repository of ogtorrent: it tells nothing of swarms (HTTP 200)" in complained
    )
