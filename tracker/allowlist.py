"""Which torrents are published: the `.torrent` files below a folder, as they come, change and go.

And those of folders beside it, which are served and not shown: they belong to the first one's.
"""

import asyncio
import contextlib
import logging
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from watchfiles import Change, awatch

from tracker.metainfo import LARGEST_FILE, Torrent, UnusableTorrentError, read_torrent
from tracker.request import InfoHash

SUFFIX = ".torrent"
# Seconds from the end of one scan to the next one that an unknown info-hash may cause.
SCAN_PAUSE = 1.0
# Milliseconds. A publisher renames its sidecars one after the other; one scan sees them all.
_DEBOUNCE = 200
# Milliseconds between two scans where nothing is heard: inotify tells nothing of a change made on the other
# side of a network file system.
_UNWATCHED_RESCAN = 30_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """One torrent and its name: the path below the folder without `.torrent`.

    `shown`: to people, as the torrents of the first folder are.
    """

    name: str
    torrent: Torrent
    shown: bool = True

    @property
    def swarm_id(self) -> InfoHash:
        return self.torrent.info_hashes[0]


class Stamp(NamedTuple):
    """A file whose stamp is unchanged is not read again."""

    mtime_ns: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What one path is: a torrent, or the reason why not."""

    stamp: Stamp | None
    content: Torrent | str


@dataclass(frozen=True)
class Listing:
    """The folder as one scan found it."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def published(self) -> Iterator[Published]:
        """Every torrent once, under the first of its names."""
        seen: set[InfoHash] = set()
        for path in sorted(self.entries):
            content = self.entries[path].content
            if isinstance(content, Torrent) and content.info_hashes[0] not in seen:
                seen.add(content.info_hashes[0])
                # A name on disk may be any bytes; the page and the API speak UTF-8.
                name = os.fsencode(path.removesuffix(SUFFIX)).decode(errors="replace")
                yield Published(name, content)


def scan(folder: Path, known: Listing) -> Listing:
    """Read the folder at any depth, hidden names left out; raises OSError if the folder itself is unreadable.

    A link to a folder is followed, once. Of a folder below that cannot be read just now, what was known
    stays: a network file system in trouble must not unpublish the image of a running class.
    """
    entries: dict[str, Entry] = {}
    visited: set[tuple[int, int]] = set()
    pending, linked = [""], list[str]()
    while pending or linked:
        # Links last: what is reached both ways goes by its real path.
        relative = (pending or linked).pop()
        try:
            status = (folder / relative).stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder / relative) as listed:
                children = [child for child in listed if not child.name.startswith(".")]
        except OSError as error:
            if not relative:
                raise
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                below = f"{relative}/"
                entries |= {path: entry for path, entry in known.entries.items() if path.startswith(below)}
                entries[relative] = Entry(None, _reason(error))
            continue
        for child in children:
            path = f"{relative}/{child.name}" if relative else child.name
            if child.is_dir(follow_symlinks=False):
                pending.append(path)
            elif child.name.endswith(SUFFIX):
                entries[path] = _entry(folder / path, known.entries.get(path))
            elif child.is_symlink():
                linked.append(path)
    return Listing(MappingProxyType(entries))


def _scan_if_there(folder: Path, known: Listing) -> Listing:
    """Raises OSError if it is there and unreadable."""
    try:
        return scan(folder, known)
    except FileNotFoundError:
        return Listing()


def _entry(path: Path, known: Entry | None) -> Entry:
    stamp = None
    try:
        status = path.stat()
        stamp = Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
        if known is not None and known.stamp == stamp:
            return known
        if not stat.S_ISREG(status.st_mode):
            raise UnusableTorrentError("it is not a regular file")
        if status.st_size > LARGEST_FILE:
            raise UnusableTorrentError(f"it is larger than {LARGEST_FILE // 1024**2} MiB")
        return Entry(stamp, read_torrent(path))
    except UnusableTorrentError as error:
        return Entry(stamp, str(error))
    except OSError as error:
        # No stamp: permissions and loops are mended without a change of time or size.
        return Entry(None, _reason(error))


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


class AllowList:
    """The torrents of a folder, kept up to date while `watch` runs.

    `beside`: folders whose torrents are served and not shown, whether they stand or not.
    """

    def __init__(self, folder: Path, beside: Sequence[Path] = ()) -> None:
        self._folder, self._beside = folder, tuple(beside)
        self._listing = Listing()
        self._listings_beside = dict.fromkeys(self._beside, Listing())
        self._served: tuple[Published, ...] = ()
        self._published: tuple[Published, ...] = ()
        self._by_hash: dict[InfoHash, Published] = {}
        self._scanning = asyncio.Lock()
        self._not_before = float("-inf")
        self._next_scan: asyncio.Task[None] | None = None
        self._scans: set[asyncio.Task[None]] = set()

    @property
    def published(self) -> tuple[Published, ...]:
        """Every torrent once, by name; those alone that are shown."""
        return self._published

    @property
    def served(self) -> tuple[Published, ...]:
        """And then those that are not."""
        return self._served

    def find(self, info_hash: InfoHash) -> Published | None:
        return self._by_hash.get(info_hash)

    async def find_or_rescan(self, info_hash: InfoHash) -> Published | None:
        """Like `find`, but looks at the folder again before it says no. Many may ask for one scan."""
        found = self.find(info_hash)
        if found is None:
            if self._next_scan is None:
                self._next_scan = asyncio.create_task(self._scan_after_pause())
                self._scans.add(self._next_scan)
                self._next_scan.add_done_callback(self._scans.discard)
            await asyncio.shield(self._next_scan)
            found = self.find(info_hash)
        return found

    async def rescan(self) -> None:
        """Read the folders now, off the event loop; raises OSError if the first is unreadable."""
        async with self._scanning:
            try:
                listing = await asyncio.to_thread(scan, self._folder, self._listing)
                for folder in self._beside:
                    with contextlib.suppress(OSError):  # what was known stays
                        found = await asyncio.to_thread(_scan_if_there, folder, self._listings_beside[folder])
                        self._listings_beside[folder] = found
                self._adopt(listing)
            finally:
                self._not_before = time.monotonic() + SCAN_PAUSE

    async def watch(self) -> None:
        """Rescan at every change, until cancelled."""
        while True:
            try:
                await self._rescan_at_changes()
            except* (OSError, RuntimeError) as failures:
                # RuntimeError is how watchfiles reports that inotify has no watch left to give, or
                # (in a group) that a name is not UTF-8.
                error = failures.exceptions[0]
                log.warning("cannot watch %s, looking now and then instead: %s", self._folder, error)
            await asyncio.sleep(_UNWATCHED_RESCAN / 1000)
            await self._rescan_or_keep()

    async def close(self) -> None:
        """Give up the scans under way."""
        for task in self._scans:
            task.cancel()
        await asyncio.gather(*self._scans, return_exceptions=True)

    async def _rescan_at_changes(self) -> None:
        changes = awatch(
            self._folder,
            *(folder for folder in self._beside if folder.is_dir()),
            watch_filter=_matters,
            debounce=_DEBOUNCE,
            rust_timeout=_UNWATCHED_RESCAN,
            yield_on_timeout=True,
            recursive=True,
            ignore_permission_denied=True,
        )
        async for _ in changes:
            await self._rescan_or_keep()

    async def _scan_after_pause(self) -> None:
        await asyncio.sleep(self._not_before - time.monotonic())
        # From here on the scan may already have passed the place where a new file appears, so who asks
        # from now on waits for the next one.
        self._next_scan = None
        await self._rescan_or_keep()

    async def _rescan_or_keep(self) -> None:
        try:
            await self.rescan()
        except OSError as error:
            log.warning("cannot read %s, keeping what was published: %s", self._folder, _reason(error))

    def _adopt(self, listing: Listing) -> None:
        before = self._listing.entries
        for path, entry in listing.entries.items():
            old = before.get(path)
            if isinstance(entry.content, str) and (old is None or old.content != entry.content):
                log.warning("not published: %r: %s", path, entry.content)
        old_names = {published.name for published in self._published}
        self._listing = listing
        self._published = tuple(listing.published())
        shown = {published.swarm_id for published in self._published}
        self._served = self._published + tuple(
            replace(published, name=f"{folder.name}/{published.name}", shown=False)
            for folder, beside in self._listings_beside.items()
            for published in beside.published()
            if published.swarm_id not in shown
        )
        new_names = {published.name for published in self._published}
        for name in sorted(new_names - old_names):
            log.info("published: %r", name)
        for name in sorted(old_names - new_names):
            log.info("no longer published: %r", name)
        self._by_hash = {
            info_hash: published for published in self._served for info_hash in published.torrent.info_hashes
        }


def _matters(change: Change, path: str) -> bool:
    # A name that comes or goes may be a whole folder; writing matters in a torrent alone, for an image
    # is written for minutes.
    return path.endswith(SUFFIX) or change is not Change.modified
