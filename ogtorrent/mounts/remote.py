"""Another machine whose images are mounted: its address, whether it answers, and what its refusals mean."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass

from ogtorrent.errors import BadAddress, MissingProgram, NotMountable
from ogtorrent.layout.aliases import as_address
from ogtorrent.words import words

CONNECT = 5.0  # seconds
PATIENCE = 40.0  # seconds that a program which mounts may take
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::(?P<port>\d+))?")


@dataclass(frozen=True)
class Host:
    """`port` is 0 where the protocol's own is meant."""

    name: str
    address: str
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Host:
        """`HOST[:PORT]`, resolved. Raises BadAddress, NotMountable."""
        bare = as_address(text)
        found = None if bare is not None else _HOST.fullmatch(text)
        port = int(found["port"] or 0) if found is not None else 0
        if bare is None and (found is None or port > 65535):
            raise BadAddress(text, words("a server is HOST or HOST:PORT"))
        name = str(bare) if found is None else found["six"] or found["name"]
        try:
            address = str(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][4][0])
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise NotMountable(text, why, words("Check the name, or give the address.")) from error
        return cls(name, address, port)

    @property
    def bracketed(self) -> str:
        return f"[{self.address}]" if ":" in self.address else self.address

    def answers(self, source: str, port: int) -> None:
        """The kernel would try for minutes. Raises NotMountable."""
        try:
            socket.create_connection((self.address, port), CONNECT).close()
        except OSError as error:
            raise NotMountable(
                source,
                words(
                    "{host} does not answer at port {port}: {why}",
                    host=self.name,
                    port=port,
                    why=words("no answer") if isinstance(error, TimeoutError) else error.strerror or error,
                ),
                words("Check the address, the network cable, the firewall and that it runs the service."),
            ) from error


@dataclass(frozen=True)
class Refusal:
    """What a program says, and what that means."""

    pattern: str
    why: str
    advice: str


def run(source: str, package: str, refusals: Iterable[Refusal], *command: str, given: str = "") -> None:
    """A program that mounts; `given` is its standard input. Raises NotMountable, MissingProgram."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    # A file: what it leaves behind would keep a pipe open.
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(
                command, input=given.encode(), stdout=said, stderr=said, timeout=PATIENCE, env=environment
            )
        except FileNotFoundError:
            raise MissingProgram(command[0], package) from None
        except subprocess.TimeoutExpired:
            raise NotMountable(
                source, words("no answer"), words("Check the server; it may be busy or going down.")
            ) from None
        if done.returncode == 0:
            return
        said.seek(0)
        told = said.read().decode(errors="replace")
    for refusal in refusals:
        if re.search(refusal.pattern, told, re.IGNORECASE):
            raise NotMountable(source, refusal.why, refusal.advice)
    first = next((line.strip() for line in told.splitlines() if line.strip()), words("no reason was given"))
    plain = "".join(letter if letter.isprintable() else " " for letter in first).rstrip(".")
    raise NotMountable(source, plain, words("See the log of the server and of this PC (dmesg)."))


def no_client(name: str) -> Refusal:
    """The kernel's own word for a file system that it has not."""
    return Refusal(
        r"no such device\b(?! or address)|unknown filesystem type|filesystem not supported|error\(19\)",
        words("this PC's kernel has no client of {name}", name=name),
        words("Use another --protocol, or a kernel with that module."),
    )


def an_option(name: str) -> tuple[str, str]:
    return (
        words("{name!r} would be an option to the program that mounts", name=name),
        words("Use another name, or another --protocol."),
    )


def wrong_password() -> tuple[str, str]:
    return words("name or password is wrong, or may not read there"), words("Check the credentials.")


def no_folder(path: str) -> tuple[str, str]:
    return (
        words("the server has nothing at {path}", path=path),
        words("Name what it exports or shares with --path."),
    )
