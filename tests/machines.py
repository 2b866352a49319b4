"""The machines of a test: a repository's server and the seats of a room, real processes on loopback.

Every run has a loopback network of its own, so that two runs on one machine do not meet.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, quote_from_bytes

from ogtorrent.cache import control, events
from ogtorrent.layout import recognise
from ogtorrent.repository.publish import publish
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import Metainfo

HERE = Path(__file__).parents[1]
DEADLINE = 30.0  # seconds; generous, for a machine that has other things to do
NETWORK = f"127.{random.SystemRandom().randrange(32, 250)}.{random.SystemRandom().randrange(256)}"
_numbers = itertools.count(2)

BEHIND_A_SLOW_LINE = """
import sys
from ogtorrent.cli import main
from ogtorrent.swarm import policy
role, line = sys.argv[1], int(sys.argv[2])
fast = getattr(policy, role)
setattr(policy, role, lambda *given: {**fast(*given), "upload_rate_limit": line})
main(sys.argv[3:])
"""
# Root without its right to read and write everything: a user whom a file's mode can keep out.
AS_A_USER = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]

T = TypeVar("T")
KILLED = 9  # the exit code of `killed_at`'s process


def program(role: str, line: int | None) -> list[str]:
    """The program; with `line` the sessions of that role give at most so many bytes a second.

    So a download can be met in its middle.
    """
    if line is None:
        return [sys.executable, "-m", "ogtorrent"]
    return [sys.executable, "-c", BEHIND_A_SLOW_LINE, role, str(line)]


def until(condition: Callable[[], T], seconds: float = DEADLINE) -> T:
    """Wait for a condition, but not for ever; its first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the deadline passed"
        time.sleep(0.02)
    return value


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE)}


def ogtorrent(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ogtorrent", *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        **options,
    )


def killed_at(step: int, work: Callable[[], object], also: Collection[str] = ()) -> bool:
    """Do the work in a process of its own, killed before it changes the disk for the `step`th time.

    `also`: audit events that count as such a change, too.
    """
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
            if writes or event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove", *also):
                if left == 0:
                    os._exit(KILLED)
                left -= 1

        sys.addaudithook(count)
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


class Server:
    """`ogtorrent serve` over a root. `line` limits what its seed gives, in bytes a second."""

    def __init__(self, home: Path, root: Path, *options: str, line: int | None = None, **more: Any) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._out, self._log = home / "stdout", home / "log"
        given = ["--listen", "127.0.0.1:0", "--peer-port", "0", *options]
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*program("repository", line), "serve", str(root), *given],
                stdout=out,
                stderr=log,
                env=environment(),
                start_new_session=True,
                **more,
            )
        try:
            announced = until(self._announced)
        except AssertionError:
            self.process.kill()
            raise AssertionError(f"the server did not start: {self.log}") from None
        self.address = announced.partition("//")[2].partition("/")[0]

    def _announced(self) -> str:
        assert self.process.poll() is None, self.log
        return next((line for line in self.said.splitlines() if line.startswith("announce http://")), "")

    @property
    def said(self) -> str:
        return self._out.read_text()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=DEADLINE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError as error:
            raise AssertionError(f"the server does not answer: {error}\n{self.log}") from None

    def entry(self, image: str) -> dict[str, Any]:
        """What the catalogue says of one image."""
        answer: dict[str, Any] = json.loads(self.get(f"/catalogue/{quote(image)}")[1])
        return answer

    def state(self, image: str) -> str:
        return str(self.entry(image).get("state", "unknown"))

    def ready(self, image: str, but: Metainfo | None = None) -> Metainfo:
        """Wait until an image is published (as another version than `but`) and seeded."""

        def published() -> bool:
            entry = self.entry(image)
            return entry.get("state") == "ready" and (
                but is None or entry["info_hash"] != but.info_hash.hex()
            )

        until(published)
        found = metainfo.decode(self.get(f"/torrents/{quote(image)}.torrent")[1], image)
        until(lambda: self.seeds(found) > 0)
        return found

    def peers(self, published: Metainfo) -> dict[str, str]:
        """Whom the tracker knows: address, and whether it is `seeding` or `filling`."""
        for swarm in json.loads(self.get("/api/v1/swarms")[1])["swarms"]:
            if swarm["info_hash"] == published.info_hash.hex():
                known = swarm["repository"] + swarm["seats"]
                return {peer["address"]: peer["status"] for peer in known if peer["present"]}
        return {}

    def seeds(self, published: Metainfo) -> int:
        """How many seeds the tracker knows, this server's own among them."""
        return list(self.peers(published).values()).count("seeding")

    def refusal(self, published: Metainfo) -> str:
        """Why the tracker refuses a client of this metainfo; empty where it does not."""
        query = f"info_hash={quote_from_bytes(published.info_hash)}&peer_id={'x' * 20}&port=1&left=1"
        _, answer = self.get(f"/announce?{query}&uploaded=0&downloaded=0&event=stopped")
        return answer.decode(errors="replace") if b"failure reason" in answer else ""

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@dataclass(frozen=True)
class Update:
    """How an `update-cache` went."""

    events: list[events.Event]
    code: int
    said: str  # on standard error

    @property
    def done(self) -> events.Done:
        assert self.code == 0, self.said
        last = self.events[-1]
        assert isinstance(last, events.Done)
        return last


class Running:
    """An `update-cache` that has not ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._events: list[events.Event] = []
        self._deadline = threading.Timer(2 * DEADLINE, process.kill)  # then its output ends, with -9
        self._deadline.daemon = True
        self._deadline.start()

    def until_bytes_come(self) -> events.Progress:
        """Read on until some of the image is there, and not all."""
        for event in self._read():
            if isinstance(event, events.Progress) and event.done > 0:
                assert event.done < event.size
                return event
        raise AssertionError(f"no byte came: {self.end()}")

    def end(self) -> Update:
        for _ in self._read():
            pass
        self._deadline.cancel()
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        return Update(self._events, self.process.wait(DEADLINE), said)

    def _read(self) -> Iterator[events.Event]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = events.decode(line)
            self._events.append(event)
            yield event


class Seat:
    """A PC: a cache, and an address of its own."""

    def __init__(self, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.cache = cache
        self.address = f"{NETWORK}.{next(_numbers)}"

    def start(self, server: str, image: str, *options: str, subdir: str = "/", **more: Any) -> Running:
        command = [sys.executable, "-m", "ogtorrent", "update-cache", server, subdir, image, "--json"]
        command += ["--cache", str(self.cache), "--address", self.address, *options]
        return Running(
            subprocess.Popen(
                command,
                env=environment(),
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                **more,
            )
        )

    def update(self, server: str, image: str, *options: str, **more: Any) -> Update:
        running = self.start(server, image, *options, **more)
        try:
            return running.end()
        finally:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait()

    @contextmanager
    def seeding(self, *options: str, line: int | None = None) -> Iterator[subprocess.Popen[str]]:
        """`cache seed`, ended by SIGTERM; `line` limits what it gives, in bytes a second."""
        command = [*program("seat", line), "cache", "seed", "--cache", str(self.cache), "--port", "0"]
        process = subprocess.Popen(
            [*command, "--address", self.address, *options],
            env=environment(),
            text=True,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield process
            process.terminate()
            assert process.wait(DEADLINE) == 0
            assert process.stderr is not None and "Traceback" not in process.stderr.read()
        finally:
            process.kill()
            process.wait()

    @property
    def log(self) -> str:
        log = self.cache / ".ogtorrent" / "seeder.log"
        return log.read_text() if log.exists() else ""

    def seeder(self) -> int | None:
        """The process that holds the cache's lock; the kernel names the command that took it."""
        lock = str((self.cache / ".ogtorrent" / "seeder.lock").resolve())
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended, or is somebody else's
                if any(str(link.readlink()) == lock for link in (process / "fd").iterdir()):
                    return int(process.name)
        return None

    def stop(self) -> None:
        """`cache stop`."""
        if (self.cache / ".ogtorrent").is_dir():
            control.stop(self.cache)
        left = self.seeder()
        if left is not None:  # a test that failed may leave one that does not listen
            os.kill(left, signal.SIGKILL)


def image(place: Path, size: int, seed: int = 0) -> Path:
    """An image of random bytes; the same seed gives the same image, but not to tests that run beside: PCs on
    loopback that have it would find each other."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.new")
    aside.write_bytes(random.Random(f"{os.getpid()} {seed} {size}").randbytes(size))
    aside.rename(place)
    return place


def published(place: Path, root: Path, size: int, seed: int = 0) -> Path:
    """An image that a server over `root` finds ready when it starts."""
    image(place, size, seed)
    found = recognise(root)
    publish(found, found.locate(place), ("http://127.0.0.1:1/announce",), lambda done: None)
    return place
