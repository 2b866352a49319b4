"""`python -m tracker FOLDER`: a process of its own, its options, and what it says of wrong ones."""

import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import bencode2
import pytest
from click.testing import CliRunner

from tests.tracker import datagrams
from tracker.__main__ import main

Publish = Callable[..., bytes]
ROOT = Path(__file__).parents[2]
DEADLINE = 15


@dataclass
class Running:
    """A tracker, and where it says that it listens."""

    process: subprocess.Popen[str]
    log: Path
    url: str

    def get(self, target: str, headers: dict[str, str] | None = None) -> bytes:
        with urlopen(Request(self.url + target, headers=headers or {}), timeout=DEADLINE) as reply:
            return bytes(reply.read())

    def announce(self, image: bytes, *, address: str | None = None, more: str = "") -> dict[bytes, Any]:
        """Announce from 127.0.0.1, or through a proxy there from an address of its own."""
        peer_id = (address or "127.0.0.1").rjust(20, "-")
        query = f"announce?info_hash={quote(image)}&peer_id={peer_id}&port=6881&left=1000{more}"
        headers = {} if address is None else {"X-Forwarded-For": address}
        return dict(bencode2.bdecode(self.get(query, headers)))

    def ask(self, datagram: bytes) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(DEADLINE)
            sock.bind(("127.0.0.1", 0))
            sock.connect(("127.0.0.1", int(self.url.rsplit(":", 1)[1].strip("/"))))
            sock.send(datagram)
            return sock.recv(2048)

    def end(self) -> str:
        """SIGTERM; what it wrote to standard error."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE) == 0
        said = self.log.read_text()
        assert "Traceback" not in said and "Exception" not in said
        return said


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a tracker of the test's folder on a free port of 127.0.0.1."""
    processes: list[subprocess.Popen[str]] = []

    def run(*options: str) -> Running:
        log = tmp_path / ".stderr"
        command = [sys.executable, "-m", "tracker", str(tmp_path), "--listen", "127.0.0.1:0", *options]
        with log.open("w") as stderr:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"tracking {tmp_path} by HTTP and UDP at http://127.0.0.1:"), log.read_text()
        return Running(process, log, line.split()[-1])

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def refused(*arguments: object) -> tuple[int, str]:
    """The exit code and the words of a command that does not start."""
    ran = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert "Error: " in ran.output and "Traceback" not in ran.output
    assert isinstance(ran.exception, SystemExit)
    return ran.exit_code, ran.output


def test_it_says_where_it_listens_and_stops_on_a_signal(
    start: Callable[..., Running], publish: Publish
) -> None:
    publish("aula1/a")
    running = start()
    assert b"aula1/a" in running.get("")
    assert "published: 'aula1/a'" in running.end()


@pytest.mark.parametrize("listen", ["6969", "host:6969", "127.0.0.1:ssh", "127.0.0.1:65536"])
def test_a_listen_address_that_is_none_is_refused(tmp_path: Path, listen: str) -> None:
    code, said = refused(tmp_path, "--listen", listen)
    assert (code, "--listen" in said) == (2, True)


def test_an_address_of_another_host_is_an_error_without_traceback(tmp_path: Path) -> None:
    assert refused(tmp_path, "--listen", "192.0.2.1:0")[0] == 1


@pytest.mark.parametrize("option", ["--allow", "--trust-proxy", "--room"])
@pytest.mark.parametrize("network", ["aula1", "10.1.0.0/33", "10.1.2.3/16", "fd00::1/64", ""])
def test_a_network_that_is_none_is_refused(tmp_path: Path, option: str, network: str) -> None:
    code, said = refused(tmp_path, option, "10.0.0.0/8", option, network)
    words = " ".join(said.split())
    assert (code, option in words, network in words) == (2, True, True)
    assert "a network is like 10.1.0.0/16" in words


def test_a_network_that_is_allowed_may_announce_and_one_that_is_named_sits_together(
    start: Callable[..., Running], publish: Publish
) -> None:
    image = publish("a")
    running = start(
        "--allow", "198.51.0.0/16", "--trust-proxy", "127.0.0.1", "--room", "198.51.100.0/23"
    )  # fmt: skip
    for address in ("203.0.113.7", "10.1.0.7"):  # the private ones are not meant where others are allowed
        reason = running.announce(image, address=address)[b"failure reason"].decode()
        assert f"{address} is in no network that may announce" in reason and "--allow" in reason
    for number in range(10):
        for room in (100, 101, 7):
            reply = running.announce(image, address=f"198.51.{room}.{number}")
    peers = running.announce(image, address="198.51.100.99")[b"peers"]
    assert len(peers) == 6 * (10 + 10)
    # Its room is the subnet, and has others that join it to the wider one.
    assert len(reply[b"peers"]) == 6 * 9


LINES = [
    "http 127.0.0.1:6881 announce 'aula1/a' started, 1000 bytes left, 0 down and 0 up: "
    "gets 0 peers, comes again in 5 s",
    "http 127.0.0.1:6881 announce 'aula1/a', 1000 bytes left, 7 down and 8 up: "
    "gets 0 peers, comes again in 5 s",
    "http 127.0.0.1 scrape of 1 torrents",
    "http 127.0.0.1 announce refused: event is none of started, completed, stopped, paused (BEP 3)",
    "udp 127.0.0.1:7000 announce 'aula1/a', 500 bytes left, 0 down and 0 up: "
    "gets 1 peers, comes again in 5 s",
]
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", re.MULTILINE)


def ask_for_everything(running: Running, image: bytes) -> None:
    running.announce(image, more="&event=started")
    running.announce(image, more="&downloaded=7&uploaded=8")
    running.get(f"scrape?info_hash={quote(image)}")
    assert b"failure reason" in running.announce(image, more="&event=ended")
    connection = running.ask(struct.pack(">QII", datagrams.PROTOCOL_ID, 0, 7))[8:]
    running.ask(datagrams.announce(connection, image, left=500, port=7000))


def test_an_access_log_has_a_line_for_each_request(
    start: Callable[..., Running], publish: Publish, tmp_path: Path
) -> None:
    image = publish("aula1/a")
    log = tmp_path / ".access"
    log.write_text("what stood there before\n")
    running = start("--access-log", str(log))
    ask_for_everything(running, image)
    assert "comes again" not in running.end()
    before, *lines = log.read_text().splitlines()
    assert before == "what stood there before"
    assert all(STAMP.match(line) for line in lines)
    assert [STAMP.sub("", line) for line in lines] == LINES


@pytest.mark.room
def test_an_access_log_that_was_moved_goes_on_in_a_new_file(
    start: Callable[..., Running], publish: Publish, tmp_path: Path
) -> None:
    image = publish("aula1/a")
    log = tmp_path / ".access"
    running = start("--access-log", str(log))
    running.announce(image)
    log.rename(tmp_path / ".access.1")
    running.announce(image)
    running.end()
    assert [len(one.read_text().splitlines()) for one in (log, tmp_path / ".access.1")] == [1, 1]


@pytest.mark.room
def test_an_access_log_can_be_standard_error(start: Callable[..., Running], publish: Publish) -> None:
    image = publish("aula1/a")
    running = start("--access-log", "-")
    ask_for_everything(running, image)
    lines = STAMP.sub("", running.end()).splitlines()
    assert [line for line in lines if line.startswith(("http", "udp"))] == LINES


@pytest.mark.parametrize(("log", "code"), [(".", 2), ("no/such/folder", 1), ("a.torrent/log", 1)])
def test_an_access_log_that_cannot_be_written_is_refused(
    tmp_path: Path, publish: Publish, log: str, code: int
) -> None:
    publish("a")
    assert refused(tmp_path, "--access-log", tmp_path / log)[0] == code
    assert str(tmp_path / log) in refused(tmp_path, "--access-log", tmp_path / log)[1].replace("\n", "")


@pytest.mark.room
def test_an_access_log_on_a_full_disk_is_told_of_once_and_keeps_nobody_out(
    start: Callable[..., Running], publish: Publish
) -> None:
    image = publish("a")
    running = start("--access-log", "/dev/full")
    for _ in range(3):
        assert b"failure reason" not in running.announce(image)
    assert running.end().count("No space left on device") == 1
