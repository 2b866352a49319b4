"""What people and scripts call a place, and under which paths its images are seen on a machine.

    REPO, repo, the server's address                    the repository
    CACHE, cache, localhost, loopback, own addresses    this PC's cache
    another address                                     another server, a NAS, another PC's cache
    DVD-ID, USB-ID                                      a removable repository

Nothing here looks at a disk or an interface: what this machine is comes in as `Here`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import BadAddress, BadName, NoCache
from ogtorrent.layout.names import ImagePath, checked_component
from ogtorrent.layout.root import Layout, Root
from ogtorrent.words import words

MOUNTS = Path("/opt/opengnsys/images")  # OpenGnsys mounts each place below it, as its alias or address
CACHE_LINK = Path("/opt/opengnsys/cache")  # OpenGnsys lets it lead to the cache partition's own `/`
DISKS = Path("/mnt")
REMOVABLE = {"usb": "USB-", "dvd": "DVD-"}  # how the folder of each is called, with its id after that
_REMOVABLE = tuple(REMOVABLE.values())
_LONGEST_ID = 60


@dataclass(frozen=True)
class Place:
    """`REPO`, `CACHE`, an address, or the name of a removable repository."""

    name: str

    def __str__(self) -> str:
        return self.name


REPO, CACHE = Place("REPO"), Place("CACHE")
_NAMES = {"REPO": REPO, "repo": REPO, "CACHE": CACHE, "cache": CACHE, "localhost": CACHE}


@dataclass(frozen=True)
class Here:
    """A machine, as far as aliases depend on it.

    `repository` is the image root where the server has it, `cache` where the cache partition is mounted,
    `server` the repository's address; without one, or with an own one, this machine is the server.
    """

    repository: Root
    cache: Path | None = None
    own: frozenset[str] = frozenset()
    server: str = ""

    def place(self, alias: str) -> Place:
        """Raises BadAddress."""
        if alias in _NAMES:
            return _NAMES[alias]
        if alias.startswith(_REMOVABLE) and len(alias) > len(_REMOVABLE[0]):
            try:
                return Place(checked_component(alias))
            except BadName as error:
                raise BadAddress(alias, str(error)) from None
        address = as_address(alias)
        if address is None or address.is_unspecified:
            raise BadAddress(alias, words("a place is REPO, CACHE, localhost, an address, DVD-ID or USB-ID"))
        if address.is_loopback:
            return CACHE
        if address == as_address(self.server):
            return REPO
        if address in map(as_address, self.own):
            return REPO if self.is_server else CACHE
        return Place(str(address))

    @property
    def is_server(self) -> bool:
        server = as_address(self.server)
        return server is None or server.is_loopback or server in map(as_address, self.own)

    def point(self, place: Place) -> Path:
        """Where a place is mounted: of the current layout the repository with its groups and clients.

        Raises NoCache.
        """
        if place == REPO and self.repository.mirror.layout is Layout.CURRENT:
            return self.repository.path.parent
        if place == CACHE and self.cache is not None:
            return self.cache
        return next(self._roots(place))

    def mounted_at(self, point: Path) -> Place | None:
        """The place whose mount point that is."""
        if point == self.point(REPO):
            return REPO
        place = self._mounted(point.parent, point.name) if point.parent in (MOUNTS, DISKS) else None
        return place if place is not None and place != CACHE else None

    def paths(self, place: Place, image: ImagePath) -> tuple[Path, ...]:
        """Every path under which an image of a place is seen here, the proper one first.

        Raises NoCache, and BadName where it could only be taken for an image of another place.
        """
        found = [root.joinpath(*image.parts) for root in self._roots(place)]
        found = [path for path in dict.fromkeys(found) if self._located(path) == (place, image)]
        if not found:
            raise BadName(
                str(image), words("{name!r} is the name of a place, not of a folder", name=image.parts[0])
            )
        return tuple(found)

    def locate(self, path: Path) -> tuple[Place, ImagePath]:
        """The place and image that a path leads to. Raises BadName."""
        located = self._located(path)
        if located is None:
            raise BadName(str(path), words("it is below no place that this machine has"))
        return located

    def _roots(self, place: Place) -> Iterator[Path]:
        if place == REPO:
            yield from self._repository_roots()
        elif place == CACHE:
            if self.cache is None:
                raise NoCache(words("none is mounted"), words("Mount it, or name it with --cache DIR."))
            yield from self._cache_roots(self.cache)
        elif place.name.startswith(_REMOVABLE):
            yield DISKS / place.name
        else:
            yield MOUNTS / place.name

    def _repository_roots(self) -> Iterator[Path]:
        server = as_address(self.server)
        mounted = [MOUNTS / str(server)] if server is not None else []
        # The legacy client mounts the server beside the others, every other one at the server's own path.
        if self.repository.mirror.layout is Layout.LEGACY and not self.is_server:
            yield from mounted
        yield self.repository.path
        yield from mounted
        yield from (MOUNTS / alias for alias, place in _NAMES.items() if place == REPO)
        if self.is_server:
            yield from (MOUNTS / name for name in self._own())
        if self._took_the_place():
            yield MOUNTS

    def _cache_roots(self, cache: Path) -> Iterator[Path]:
        inside = self.repository.mirror.path
        yield cache / inside
        yield CACHE_LINK / inside
        names = [alias for alias, place in _NAMES.items() if place == CACHE] + ["127.0.0.1", "::1"]
        if not self.is_server:
            names += self._own()
            yield from (DISKS / name / inside for name in self._own())
        yield from (MOUNTS / name for name in names)

    def _own(self) -> list[str]:
        return sorted(str(address) for address in map(as_address, self.own) if address is not None)

    def _took_the_place(self) -> bool:
        """Whether the tree replaces `/opt/opengnsys/images`, which then leads to it."""
        return self.repository.path == MOUNTS.parent / "repo" / "images"

    def _located(self, path: Path) -> tuple[Place, ImagePath] | None:
        found = []
        for place, root in self._fixed():
            if path.is_relative_to(root):
                found.append((root, place))
        for folder in (MOUNTS, DISKS):
            below = path.relative_to(folder).parts if path.is_relative_to(folder) else ()
            mounted = self._mounted(folder, below[0]) if below else None
            if mounted is not None:
                found.append((folder / below[0], mounted))
        if not found:
            return None
        root, place = max(found, key=lambda pair: len(pair[0].parts))
        try:
            return place, ImagePath(path.relative_to(root).parts)
        except BadName:
            return None

    def _fixed(self) -> Iterator[tuple[Place, Path]]:
        """The roots whose path says all, without a name to be understood."""
        yield REPO, self.repository.path
        if self._took_the_place():
            yield REPO, MOUNTS
        inside = self.repository.mirror.path
        if self.cache is not None:
            tops = [self.cache, CACHE_LINK]
            tops += [] if self.is_server else [DISKS / name for name in self._own()]
            yield from ((CACHE, top / inside) for top in tops)

    def _mounted(self, folder: Path, name: str) -> Place | None:
        try:
            place = self.place(name)
        except BadAddress:
            return None
        removable = place.name.startswith(_REMOVABLE)
        return place if removable is (folder == DISKS) else None


def cache_point(device: str) -> Path:
    """Where the partition of that name is mounted as a cache."""
    return DISKS / device


def cache_names(own: Collection[str]) -> list[Path]:
    """Under which other names the partition is seen; `own` are this PC's addresses."""
    addresses = sorted(str(address) for address in map(as_address, own) if address is not None)
    return [CACHE_LINK, *(DISKS / address for address in addresses)]


def disk_point(kind: str, called: str) -> Path:
    """Where a removable disk is mounted: `usb` or `dvd`, by its label or what else it is called."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", called)[:_LONGEST_ID]
    return DISKS / f"{REMOVABLE[kind]}{name}"


def as_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Without the interface, and an IPv4 address in IPv6 clothes as what it is."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def made_to_mount(point: Path, source: str) -> bool:
    """Whether a folder is called as what stands only while that is mounted on it."""
    if point.parent == MOUNTS:
        return as_address(point.name) is not None
    return point.parent == DISKS and (
        point.name.startswith(_REMOVABLE) or point == cache_point(Path(source).name)
    )
