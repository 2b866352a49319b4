"""The cache of a PC: the repository's tree once more, and what ogtorrent keeps beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ogtorrent.layout.names import speakable
from ogtorrent.layout.root import Layer, Layout, Mirror, Root


def cache_root(cache: Path, mirror: Mirror) -> Root:
    """Where a cache mirrors a root; where a link makes it one folder with another, that one."""
    root = Root(cache.joinpath(*mirror.path.parts), mirror)
    if root.path.is_dir():
        for other in cache_roots(cache):
            if other.mirror.name == mirror.name and other.path.samefile(root.path):
                return other
    return root


def cache_roots(cache: Path) -> Iterator[Root]:
    """Every image root that a cache holds, each folder once."""
    known = [Mirror(Layout.CURRENT, "images"), Mirror(Layout.LEGACY, "images")]
    known += [
        Mirror(Layout.EAC, "hdimages", path.parent.name)
        for path in sorted(cache.glob("var/opt/*/hdimages"))
        if speakable(path.parent.name)
    ]
    systems = {"opt", "var"}  # those lead to the trees above
    known += [
        Mirror(Layout.BARE, path.name)
        for path in sorted(cache.iterdir())
        if path.is_dir() and speakable(path.name) and path.name not in systems
    ]
    seen = set()
    for mirror in known:
        root = Root(cache.joinpath(*mirror.path.parts), mirror)
        if root.path.is_dir():
            status = root.path.stat()
            if (status.st_dev, status.st_ino) not in seen:
                yield root
            seen.add((status.st_dev, status.st_ino))


def overlay_roots(cache: Path) -> Iterator[Root]:
    """What a cache holds of groups and clients, the groups first: what comes later wins."""
    for layer in Layer:
        root = cache_root(cache, Mirror(Layout.CURRENT, layer))
        if root.path.is_dir():
            yield root


def name_in(cache: Path, place: Path) -> str:
    """How records and the seeder of a cache call what stands there."""
    return str(place.relative_to(cache))


def seeder_home(cache: Path) -> Path:
    """What ogtorrent itself keeps in a cache, such as its seeder's log."""
    return cache / ".ogtorrent"


def seeder_place(cache: Path) -> Path:
    """Where the seeder process of a cache has its lock and socket. Raises OSError.

    An open file keeps a disk from being unmounted, so they are not on one that is the cache as a whole;
    unless others than root may use it, who could not write anywhere else.
    """
    status = cache.stat()
    if cache.is_mount() and status.st_uid == 0 and not status.st_mode & 0o022:
        return Path("/run/ogtorrent", f"{status.st_dev:x}-{status.st_ino:x}")
    return seeder_home(cache)


def aside_root(cache: Path, disk: Root) -> Root:
    """Where a cache keeps the metainfo of what a disk has none for: a disk that it reads is not written."""
    place = "-".join(disk.path.parts[1:])
    return Root(seeder_home(cache) / "disks" / place / disk.mirror.name, disk.mirror)


def feeder_lock(cache: Path, disk: Path) -> Path:
    """Held by the process that feeds the room from a disk; tells its tracker's address. Raises OSError."""
    status = disk.stat()
    return seeder_place(cache) / f"feeder-{status.st_dev:x}-{status.st_ino:x}.lock"


def feeder_locks(cache: Path) -> list[Path]:
    """Of every disk that the room was fed from. Raises OSError."""
    return sorted(seeder_place(cache).glob("feeder-*.lock"))


def records_file(cache: Path) -> Path:
    """Where a cache keeps its pins, and when each image was used last."""
    return seeder_home(cache) / "records.json"


def offline_home(cache: Path) -> Path:
    """The system that a cache boots by itself: GRUB's menu, and a folder for each live system."""
    return seeder_home(cache) / "offline"
