"""Who we are to a server: from a file that its owner alone reads, never an argument or the environment."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ogtorrent.errors import BadCredentials
from ogtorrent.words import words

USER = "opengnsys"  # whom OpenGnsys's clients are to its Samba
_LARGEST = 65536  # bytes of such a file


@dataclass(frozen=True)
class Credentials:
    """`identity`: a file with a private SSH key; `hostkey`: the server's public one, `TYPE KEY`."""

    username: str = USER
    password: str = field(default="", repr=False)
    domain: str = ""
    identity: str = ""
    hostkey: str = ""


def read(file: Path) -> Credentials:
    """Lines `NAME=VALUE`, as mount.cifs(8) has them. Raises BadCredentials."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        why = error.strerror or str(error)
        raise BadCredentials(file, why, words("Check its name, owner and mode.")) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadCredentials(file, words("it is no file"), words("Name a file."))
        if status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
            raise BadCredentials(
                file, words("others than its owner may read it"), words("Do: chmod 600 {file}.", file=file)
            )
        written = os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)
    return _parsed(file, written)


def _parsed(file: Path, written: bytes) -> Credentials:
    known = {"username", "password", "domain", "identity", "hostkey"}
    advice = words("It has lines NAME=VALUE; names are {names}.", names=", ".join(sorted(known)))
    try:
        lines = written.decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise BadCredentials(file, words("it is not UTF-8"), advice) from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, equals, value = line.partition("=")
        name = name.strip()
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals or name not in known or any(ord(letter) < 32 for letter in value):
            raise BadCredentials(file, words("line {number} is of the wrong form", number=number), advice)
        found[name] = value if name == "password" else value.strip()
    return Credentials(**found)


@contextlib.contextmanager
def handed_over(text: str) -> Iterator[Path]:
    """A file that its owner alone reads, for a program that takes a secret from no other place."""
    with tempfile.NamedTemporaryFile("w", prefix="ogtorrent-", dir="/run") as file:  # mode 0600; in memory
        file.write(text)
        file.flush()
        yield Path(file.name)
