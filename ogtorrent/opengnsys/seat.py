"""What OpenGnsys's environment tells a command on a PC (`loadenviron.sh`, `engine.cfg`)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from ogtorrent.errors import RepositoryUnreachable, UpdateFailed
from ogtorrent.layout import ImagePath
from ogtorrent.mounts.table import Mounted, seen_at
from ogtorrent.words import words

# The scripts that have begun the session's log themselves.
CALLERS = ("deployImage", "restoreBaseImage", "restoreDiffImage")
# Devices of Samba, and of NFS by name or address: //HOST/SHARE, HOST:/FOLDER, [ADDRESS]:/FOLDER.
_REMOTE = re.compile(r"//([^/]+)/|\[([^]]+)\]:/|([^/:@]+):/")
SUFFIXES = ("-CACHE",)  # that a console's protocol may have


@dataclass(frozen=True)
class Seat:
    """A PC of OpenGnsys: its settings, and where its server's images are mounted."""

    settings: Mapping[str, str]
    mounts: Sequence[Mounted]

    @classmethod
    def of(cls, environment: Mapping[str, str], mounts: Sequence[Mounted]) -> Seat:
        """As a script of its own would: `engine.cfg` is read where nobody has read it before."""
        settings = dict(environment)
        if not settings.get("OGENGINECONFIGURATE"):
            settings |= _assignments(Path(_prefix(settings), "etc", "engine.cfg"))
        return cls(settings, mounts)

    @property
    def images(self) -> Path:
        return Path(self.settings.get("OGIMG") or Path(_prefix(self.settings), "images"))

    @property
    def when_full(self) -> str:
        """ACTIONCACHEFULL: NONE, FORMAT or DELETE."""
        return self.settings.get("ACTIONCACHEFULL", "")

    @property
    def cache(self) -> Path | None:
        """Where OpenGnsys has mounted the cache, if it has."""
        named = Path(self.settings.get("OGCAC") or Path(_prefix(self.settings), "cache"))
        return named if self._mounted(named) is not None else None

    @property
    def repository(self) -> str:
        """The server of `images` (ogGetRepoIp). Raises RepositoryUnreachable."""
        found = _REMOTE.match(self._mounted(self.images) or "")
        if found is None:
            raise RepositoryUnreachable(
                "REPO", words("nothing of a server is mounted at {path}", path=self.images)
            )
        return found[1] or found[2] or found[3]

    def has_directory(self, server: str, image: ImagePath) -> bool:
        """Whether it is a directory on that server, whose images are mounted."""
        try:
            return self.repository == server and self.images.joinpath(*image.parts).is_dir()
        except (RepositoryUnreachable, OSError):
            return False

    def _mounted(self, place: Path) -> str | None:
        """The device that is mounted there; the last one is on top."""
        there = seen_at(place, self.mounts)
        return there.source if there is not None else None


@dataclass(frozen=True)
class Call:
    """The arguments of updateCache."""

    repository: str  # REPO or an address
    image: ImagePath
    protocol: str  # TORRENT, MULTICAST or UNICAST
    options: str

    @classmethod
    def parse(cls, arguments: list[str]) -> Call:
        """`REPO|ADDRESS /PATH PROTOCOL [OPTIONS]`. Raises BadName, UpdateFailed."""
        repository, path, protocol = arguments[0].upper(), arguments[1], arguments[2].upper()
        options = arguments[3] if len(arguments) > 3 else ""
        for suffix in SUFFIXES:
            protocol = protocol.removesuffix(suffix)
        if protocol not in ("TORRENT", "MULTICAST", "UNICAST"):
            raise UpdateFailed(
                path,
                words("there is no protocol {given!r}", given=arguments[2][:80]),
                words("It is TORRENT, MULTICAST, UNICAST or RSYNC."),
            )
        if repository != "REPO" and not _is_address(repository):
            raise UpdateFailed(
                path,
                words("{given!r} is no repository", given=arguments[0][:80]),
                words("It is REPO or an address."),
            )
        image = ImagePath(tuple(part for part in path.split("/") if part))
        return cls(repository, image, protocol, options)


def spelt(image: ImagePath, published: Iterable[ImagePath]) -> ImagePath | None:
    """The one that differs in capitals alone, which ogGetPath finds, too."""
    folded = str(image).casefold()
    found = [one for one in published if str(one).casefold() == folded]
    return found[0] if len(found) == 1 else None


def forget_ctorrent(place: Path) -> None:
    """An image that stands is no unfinished one of OpenGnsys's (ogUpdateCacheIsNecesary)."""
    for ending in (".torrent.bf", ".torrent.bfog"):
        with contextlib.suppress(OSError):
            place.with_name(place.name + ending).unlink()


def torrent_options(text: str, longest: int) -> str:
    """`MODE:SECONDS` as OpenGnsys takes them: up to ten digits, of which we seed for `longest` at most."""
    mode, _, seconds = text.partition(":")
    if re.fullmatch("[0-9]{1,10}", seconds, re.ASCII):
        return f"{mode}:{min(int(seconds), longest)}"
    return text


def caller(parent: int) -> str:
    """What called us (ogGetCaller): a script by its own name."""
    try:
        command = Path(f"/proc/{parent}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    first = Path(command[0]).name.removeprefix("-")
    named = command[1] if first in ("bash", "sh") and len(command) > 1 and command[1] else first
    return Path(named).name


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _prefix(settings: Mapping[str, str]) -> str:
    return settings.get("OPENGNSYS") or "/opt/opengnsys"


def _assignments(path: Path) -> dict[str, str]:
    """`NAME=VALUE` of a file that the shell reads; the last one counts."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        match = re.match(r"""\s*(?:export\s+)?([A-Za-z_]\w*)=(?:"([^"]*)"|'([^']*)'|(\S*))""", line, re.ASCII)
        if match:
            found[match[1]] = match[2] or match[3] or match[4] or ""
    return found
