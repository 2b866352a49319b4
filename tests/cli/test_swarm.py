"""`ogtorrent swarm status` at a real tracker."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote_from_bytes

import libtorrent as lt
import pytest
from machines import DEADLINE, environment, until

Command = Callable[..., tuple[int, str, str]]
SIZE, PIECE = 1_000_000, 65536


@pytest.fixture
def torrents(tmp_path: Path) -> Path:
    folder = tmp_path / "torrents"
    folder.mkdir()
    info = {b"length": SIZE, b"name": b"images", b"piece length": PIECE, b"pieces": bytes(20 * 16)}
    (folder / "windows.img.torrent").write_bytes(lt.bencode({b"announce": b"http://x/", b"info": info}))
    return folder


@contextmanager
def tracker(folder: Path, port: int = 0) -> Iterator[str]:
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
    try:
        assert process.stdout is not None
        yield process.stdout.readline().partition("//")[2].partition("/")[0]
    finally:
        deadline.cancel()
        process.terminate()
        process.wait(DEADLINE)
        process.stdout.close()


def announce(address: str, folder: Path, seat: str, left: int) -> None:
    info = lt.bdecode((folder / "windows.img.torrent").read_bytes())[b"info"]
    info_hash = lt.sha1_hash  # noqa: F841
    import hashlib

    digest = hashlib.sha1(lt.bencode(info)).digest()
    query = f"info_hash={quote_from_bytes(digest)}&peer_id={seat:x<20}&port=6881"
    url = f"http://{address}/announce?{query}&uploaded=0&downloaded=0&left={left}"
    with urllib.request.urlopen(url) as answer:
        assert b"failure" not in answer.read()
