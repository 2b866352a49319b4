"""torrent-creator and torrent-tracker, which cron runs on OpenGnsys's repository, and sendFileMcast.

Of each the exit codes are the original's, and what it logged it logs.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from ogtorrent.errors import (
    ImageLocked,
    MissingProgram,
    NotARepository,
    NotOnDisk,
    OgtorrentError,
    RepositoryUnreachable,
)
from ogtorrent.fetch import catalogue
from ogtorrent.fetch.server import DEFAULT_PORT, Server
from ogtorrent.files import locked
from ogtorrent.interfaces import own_addresses
from ogtorrent.layout import Layout, Root, recognise
from ogtorrent.multicast import MulticastSession
from ogtorrent.repository.addresses import announce_url, announce_urls, opengnsys_values
from ogtorrent.repository.multicast import FEC, HOPS
from ogtorrent.repository.publish import publish, standing
from ogtorrent.swarm.forms import in_form

DEFAULTS = Path("/etc/default/opengnsys")
UNIT = "ogtorrent.service"
SENDER, PACKAGE = "udp-sender", "udpcast"
RETRIES = 65  # unanswered calls after which a receiver is given up, as OpenGnsys has it


class Repository:
    """OpenGnsys's repository below a prefix."""

    def __init__(self, prefix: Path, defaults: Path = DEFAULTS) -> None:
        self.prefix, self._defaults = prefix, defaults
        self.images = prefix / "images"
        self.configuration = prefix / "etc" / "ogAdmRepo.cfg"

    @property
    def is_wanted(self) -> bool:
        """Whether this machine is to be a repository at all (`RUN_OGADMREPO`)."""
        try:
            return opengnsys_values("RUN_OGADMREPO", self._defaults)[-1:] == ["yes"]
        except OSError:
            return True

    @property
    def is_fit(self) -> bool:
        return self.images.is_dir() and self.configuration.is_file()

    @property
    def address(self) -> str:
        """`IPlocal`; empty where it is not set."""
        try:
            return next(reversed(opengnsys_values("IPlocal", self.configuration)), "")
        except OSError:
            return ""

    @property
    def serves(self) -> bool:
        """Whether `ogtorrent serve` answers on this machine."""
        for address in filter(None, ("127.0.0.1", self.address)):
            server = Server(address, DEFAULT_PORT, address)
            with contextlib.suppress(RepositoryUnreachable, NotARepository):
                catalogue.answered(server, *server.get("/catalogue/-", catalogue.LARGEST_ANSWER))
                return True
        return False

    @property
    def interface(self) -> str:
        """Its address, where that is one of this machine's."""
        return self.address if self.address in own_addresses() else ""

    def log(self, name: str, text: str) -> None:
        """As `date : text`, in the log of the command; one that cannot be written is no error."""
        with contextlib.suppress(OSError), (self.prefix / "log" / f"{name}.log").open("a") as file:
            file.write(f"{time.strftime('%c')} : {text}\n")


def create(repository: Repository) -> int:
    """torrent-creator: publish what is not published, unless the server that runs does so by itself.

    One at a time; quick and silent where there is nothing to do, for cron calls each minute.
    """
    if not repository.is_wanted:
        return 0
    if not repository.is_fit:
        return 1
    if repository.serves:
        return 0
    with locked(repository.images, wait=False) as alone:
        if alone:
            root = recognise(repository.images, Layout.LEGACY)
            address = repository.address
            trackers = announce_urls("0.0.0.0", DEFAULT_PORT)
            if address:
                trackers = [announce_url(address, DEFAULT_PORT)]
            _publish(repository, root, trackers)
    return 0


def _publish(repository: Repository, root: Root, trackers: Sequence[str]) -> None:
    for image in list(root.images()):
        known = standing(root, image)
        if known is not None and in_form(known, True) is known:
            continue
        try:
            published = publish(root, image, trackers, lambda done: None, True)
        except ImageLocked:
            continue  # somebody writes it; the next minute's turn
        except OgtorrentError as error:
            repository.log("torrent-creator", f"ERROR {image}: {error}")
        else:
            repository.log("torrent-creator", f"{image}.torrent: {published.size} bytes")


def track(repository: Repository, program: Sequence[str]) -> int:
    """torrent-tracker: have `ogtorrent serve` run, the machine's service where that is installed.

    OpenGnsys's own tracker ends, as it ended whenever this was called. `program`: this ogtorrent.
    """
    if not repository.is_wanted:
        return 0
    if not repository.is_fit:
        return 1
    with locked(repository.configuration.parent, wait=False) as alone:
        if not alone or repository.serves:
            return 0
        for process in psutil.process_iter(["name"]):
            if str(process.info["name"] or "").startswith("bttrack"):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
                    process.wait(10)
        if _has_service():
            return subprocess.run(["systemctl", "start", UNIT], stdin=subprocess.DEVNULL).returncode
        _start(repository, program)
    return 0


def _has_service() -> bool:
    if shutil.which("systemctl") is None:
        return False
    asked = subprocess.run(["systemctl", "is-enabled", "--quiet", UNIT], capture_output=True)
    return asked.returncode == 0


def _start(repository: Repository, program: Sequence[str]) -> None:
    """As a process of its own, until it answers."""
    (repository.prefix / "log").mkdir(exist_ok=True)
    with (repository.prefix / "log" / "ogtorrent.log").open("ab") as log:
        server = subprocess.Popen(
            [*program, "serve", str(repository.images), "--layout", "legacy", "--single-file"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    # A large tree is looked at first; the lock is held until then, so that nobody starts a second one.
    while server.poll() is None and not repository.serves:
        time.sleep(0.2)
    if server.poll() is not None:
        repository.log("torrent-tracker", f"ERROR: ogtorrent serve ended with {server.returncode}")


def sender_command(sender: str, path: Path, session: MulticastSession, interface: str) -> list[str]:
    """For OpenGnsys's receivers, who answer: udpcast counts them, and waits for them."""
    return [
        *(sender, "--nokbd", "--retries-until-drop", str(RETRIES)),
        *("--portbase", str(session.port_base), f"--{session.method}"),
        *(["--interface", interface] if interface else []),
        *("--mcast-data-address", str(session.address), "--fec", FEC),
        *("--max-bitrate", f"{session.speed}m", "--ttl", str(HOPS)),
        *("--min-clients", str(session.clients), "--max-wait", str(session.wait)),
        *("--file", str(path)),
    ]


def send(repository: Repository, named: str, session: str) -> int:
    """sendFileMcast FILE SESSION. Raises NotOnDisk, BadSession, MissingProgram."""
    path = Path(named)
    if not path.is_relative_to(repository.prefix):
        path = repository.images / named.lstrip("/")
    # Whoever asks `ogAdmRepoAux` over the network gets what is below, and no `../../etc/shadow`.
    if ".." in path.parts or not path.is_file():
        raise NotOnDisk(named, repository.images)
    parsed = MulticastSession.parse(_whole(session))
    # OpenGnsys brings one along.
    sender = shutil.which(SENDER) or shutil.which(SENDER, path=repository.prefix / "bin")
    if sender is None:
        raise MissingProgram(SENDER, PACKAGE)
    command = sender_command(sender, path, parsed, repository.interface)
    sent = subprocess.run(command, stdin=subprocess.DEVNULL)
    return 56 if sent.returncode else 0


def _whole(session: str) -> str:
    """`full` and `half` are short for the methods, and a speed may have a small `m`."""
    parts = session.split(":")
    if len(parts) != 6:
        return session
    parts[1] = re.sub("^(full|half)$", r"\1-duplex", parts[1].lower())
    parts[3] = parts[3].upper()
    return ":".join(parts)
