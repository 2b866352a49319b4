"""`update-cache --from`: this PC becomes the repository's server of a disk, beside its own cache.

One process feeds the room from one disk, tracker and page included, until the disk goes or `cache stop`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ogtorrent.cache import disk_server, partition
from ogtorrent.cache.control import PEER_PORT, START
from ogtorrent.errors import CannotJoin, CorruptImage, DiskGone, NotOnDisk, UnknownImage, UpdateFailed
from ogtorrent.fetch.server import DEFAULT_PORT, Server
from ogtorrent.files import write_whole
from ogtorrent.layout import ImagePath, Root, Sidecar, aside_root
from ogtorrent.mounts.storage import place_of
from ogtorrent.words import words

if TYPE_CHECKING:
    from ogtorrent.removable.images import OnDisk
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
    from ogtorrent.removable.images import Survey, root_of

    cache = partition.find(directory)
    root = root_of(place_of(named))
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
    server = disk_server.address(cache, root.path, lambda ready: _serve(root, aside, address, ready))
    _until_offered(server, published)
    return Fed(server, standing.place)


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
    from ogtorrent.removable.images import leads_out
    from ogtorrent.repository.publish import hashed

    torrent = root.sidecar(standing.image, Sidecar.TORRENT)
    if torrent.exists() and standing.metainfo is None:
        raise CorruptImage(
            str(standing.image),
            standing.why,
            words("Write the image and its .torrent anew onto the disk, or delete {path}.", path=torrent),
        )
    if leads_out(root.path, standing.place):
        raise CorruptImage(str(standing.image), standing.why, words("Put the image itself on the disk."))
    size = standing.place.stat().st_size if standing.place.is_file() else 0
    made = hashed(root, standing.image, (), lambda done: progress(done, size))
    place = aside.sidecar(standing.image, Sidecar.TORRENT)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, made.raw)
    return made


def _serve(root: Root, aside: Root, address: str, ready: Callable[[str], None]) -> None:
    """In a process of its own: serve, at the port of a repository if it is free, and tell where."""
    from ogtorrent.repository.as_it_stands import serve
    from ogtorrent.repository.serve import Served, Wanted

    aside.path.mkdir(parents=True, exist_ok=True)

    def started(served: Served) -> None:
        ready(served.trackers[0].removeprefix("http://").removesuffix("/announce"))

    for port in (DEFAULT_PORT, 0):
        try:
            asyncio.run(serve(Wanted(root, address, port, FEEDER_PORT), aside, started))
            return
        except CannotJoin:
            if not port:
                raise
