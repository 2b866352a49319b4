"""`update-cache --from`: this PC becomes the repository's server of a disk, beside its own cache.

One process feeds the room from one disk, tracker and page included, until the disk goes or `cache stop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ogtorrent.cache import partition
from ogtorrent.cache.control import PEER_PORT, START, Home
from ogtorrent.cache.launch import launch
from ogtorrent.errors import CannotJoin, CorruptImage, DiskGone, NoDisk, NotOnDisk, UnknownImage, UpdateFailed
from ogtorrent.fetch.server import DEFAULT_PORT, Server
from ogtorrent.files import write_whole
from ogtorrent.layout import ImagePath, Root, Sidecar, aside_root, disk, feeder_lock, feeder_locks
from ogtorrent.layout.aliases import REMOVABLE
from ogtorrent.words import words

if TYPE_CHECKING:
    from ogtorrent.disk.images import OnDisk
    from ogtorrent.swarm.metainfo import Metainfo

FEEDER_PORT = PEER_PORT + 1  # of the seed on the disk, beside that of the cache
Progress = Callable[[int, int], None]  # bytes read, and of how many


@dataclass(frozen=True)
class Fed:
    """From where the room is fed: this PC's address and port as others write it, and the image's place."""

    server: str
    place: Path


def feed(named: str, image: ImagePath, directory: Path | None, address: str, progress: Progress) -> Fed:
    """Have the room fed from a disk. An image without `.torrent` is read first; its own is kept in the cache.

    Call it before any thread is started: it may fork. Raises NoDisk, UnknownRoot, NotOnDisk, DiskGone,
    CorruptImage, UnfitImage, ImageLocked, NoCache, NotWritable, CannotJoin.
    """
    # Not before it is needed: `cache stop` does without libtorrent.
    from ogtorrent.disk.images import Survey, root_of

    cache = partition.find(directory)
    root = root_of(place(named))
    aside = aside_root(cache, root)
    try:
        standing = Survey(root, aside).look().get(image)
    except OSError as error:
        raise DiskGone(root.path) from error
    if standing is None:
        raise NotOnDisk(str(image), root.path)
    published = standing.metainfo
    if published is None or published.stamp is None:
        published = _describe(root, aside, standing, progress)
    server = _server(cache, root, aside, address)
    _until_offered(server, published)
    return Fed(server, standing.place)


def place(named: str) -> Path:
    """Where a disk is mounted; a USB disk or DVD that is not yet is mounted now, to be read.

    Raises NoDisk, BadAddress, DiskNotMountable, NotWritable, MissingProgram.
    """
    try:
        return disk(named)
    except NoDisk:
        from ogtorrent.mounts import storage

        if named.lower() not in REMOVABLE:
            raise
        found = [block for block in storage.find() if storage.kind_of(block) == named.lower()]
        if not found:
            raise
    for block in found:
        storage.mount_storage(block, write=False)
    return disk(named)


def stop(cache: Path) -> bool:
    """End what feeds the room from disks on behalf of a cache; False where nothing does."""
    found = False
    for lock in feeder_locks(cache):
        with contextlib.suppress(OSError, ValueError), lock.open("rb+") as file:
            if not _is_held(file.fileno()):
                continue
            os.kill(int(file.read().split()[0]), signal.SIGTERM)
            fcntl.flock(file, fcntl.LOCK_EX)  # until it has ended
            found = True
    return found


def _until_offered(server: str, published: Metainfo) -> None:
    """A server that ran before takes a moment to notice another version. Raises CorruptImage."""
    from ogtorrent.fetch.catalogue import ask

    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        try:
            if ask(Server.parse(server), published.image).metainfo.info_hash == published.info_hash:
                return
        except UpdateFailed as error:
            raise CorruptImage(
                str(published.image), error.why, words("Write the image and its .torrent anew onto the disk.")
            ) from error
        except UnknownImage:
            pass
        time.sleep(0.1)


def _describe(root: Root, aside: Root, standing: OnDisk, progress: Progress) -> Metainfo:
    """Metainfo of an image whose disk has none. Raises UnfitImage, ImageLocked, CorruptImage, NotWritable."""
    from ogtorrent.repository.publish import hashed

    torrent = root.sidecar(standing.image, Sidecar.TORRENT)
    if torrent.exists() and standing.metainfo is None:
        raise CorruptImage(
            str(standing.image),
            standing.why,
            words("Write the image and its .torrent anew onto the disk, or delete {path}.", path=torrent),
        )
    size = standing.place.stat().st_size if standing.place.is_file() else 0
    made = hashed(root, standing.image, (), lambda done: progress(done, size))
    place = aside.sidecar(standing.image, Sidecar.TORRENT)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, made.raw)
    return made


def _server(cache: Path, root: Root, aside: Root, address: str) -> str:
    """Where the disk is served, by a process that runs or a new one. Raises CannotJoin."""
    place = feeder_lock(cache, root.path)
    lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        pid = 0
        if not _is_held(lock):
            os.ftruncate(lock, 0)
            with Home(cache) as home:
                log = home.log
            pid = launch(lambda: _serve(root, aside, address, lock), "ogtorrent-feed", lock, log)
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            told = os.pread(lock, 4096, 0).decode().split()
            if len(told) == 2:
                return told[1]
            if pid and os.waitpid(pid, os.WNOHANG)[0]:
                break
            time.sleep(0.01)
    finally:
        os.close(lock)
    raise CannotJoin(
        words("the room from the disk {path}", path=root.path),
        words("its server does not start"),
        words("See {log} and run this again.", log=log if pid else place),
    )


def _serve(root: Root, aside: Root, address: str, lock: int) -> None:
    """In the new process: serve, at the port of a repository if it is free, and write down where."""
    from ogtorrent.cache.seeder import log_to_stderr
    from ogtorrent.repository.as_it_stands import serve
    from ogtorrent.repository.serve import Served, Wanted

    log_to_stderr()
    aside.path.mkdir(parents=True, exist_ok=True)

    def ready(served: Served) -> None:
        host = served.trackers[0].removeprefix("http://").removesuffix("/announce")
        os.pwrite(lock, f"{os.getpid()} {host}\n".encode(), 0)

    for port in (DEFAULT_PORT, 0):
        try:
            asyncio.run(serve(Wanted(root, address, port, FEEDER_PORT), aside, ready))
            return
        except CannotJoin:
            if not port:
                raise


def _is_held(lock: int) -> bool:
    """Whether another process has the lock; where none has, we do."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
