"""Images of a folder that is merely mounted, such as a NAS: copied beside, hashed once, landed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path

from ogtorrent import layout
from ogtorrent.errors import MirrorFailed, NotWritable, OgtorrentError, UnfitImage, UnknownRoot
from ogtorrent.fetch.catalogue import Listed
from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.repository.hashing import Digests, hash_files
from ogtorrent.repository.mirror.copying import Copying, SourceFailed
from ogtorrent.repository.mirror.plan import Brought
from ogtorrent.repository.mirror.shelf import Shelf
from ogtorrent.repository.publish import Contents, contents
from ogtorrent.repository.settling import Busy, Sight, Waiting, wait
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import Stamp
from ogtorrent.words import words

log = logging.getLogger(__name__)

# Seconds for which nothing of an image was changed, or was seen to change, when it has settled. Another
# machine may write there: this one's kernel knows nothing of it.
QUIET = 15.0
TICK = 1.0  # between looks at a copy
_MD5 = re.compile("[0-9a-f]{32}").fullmatch


class Folder:
    """A source that is a directory. Where it is not mounted, an empty one may stand in its place."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._root: Root | None = None
        self._waiting: dict[ImagePath, Waiting] = {}

    def look(self) -> Sequence[Listed]:
        try:
            root = self._recognised()
            next(root.path.iterdir(), None)  # a dead mount says so here
        except OSError as error:
            raise UnknownRoot(self.name, f"{error.strerror}.") from error
        listed = [one for one in (self._listed(root, image) for image in root.images()) if one is not None]
        if not listed and not any(self._path.iterdir()):
            raise UnknownRoot(self.name, words("The folder is empty: is it mounted?"))
        return listed

    def _recognised(self) -> Root:
        """The same layout as at first: half a tree would look like a bare folder. Raises UnknownRoot."""
        found = layout.recognise(self._path)
        if self._root is None:
            self._root = found
        if found != self._root:
            why = words("It was of the layout {layout}: is it mounted?", layout=self._root.mirror.layout)
            raise UnknownRoot(self.name, why)
        return found

    def _listed(self, root: Root, image: ImagePath) -> Listed | None:
        try:
            found = contents(root, image)
        except UnfitImage as error:
            log.debug("%s", error)
            return None
        except OSError:  # gone since
            return None
        busy = Busy.LOCKED if root.sidecar(image, Sidecar.LOCK).exists() else None
        now = time.monotonic()
        waiting = wait(self._waiting.get(image), Sight(found, busy), now)
        self._waiting[image] = waiting
        quiet = max(now - waiting.since, time.time() - max(found.mtimes) / 1e9)
        if busy is not None or quiet < QUIET:
            return Listed(image, str(busy or Busy.WRITTEN), found.size)
        return Listed(image, "ready", found.size, _version(found))

    async def compare(self, offer: Listed, shelf: Shelf) -> bool:
        """By sizes and times: reading both would take as long as bringing it."""
        ours = shelf.metainfo(offer.image)
        if ours is None or ours.stamp is None:
            return False
        theirs = await asyncio.to_thread(self._contents, offer.image)
        return (theirs.files, theirs.mtimes) == (ours.files, ours.stamp.mtimes)

    def _contents(self, image: ImagePath) -> Contents:
        try:
            return contents(self._recognised(), image)
        except OSError as error:
            raise UnknownRoot(self.name, f"{error.strerror}.") from error

    async def bring(self, offer: Listed, over: str, shelf: Shelf) -> None:
        image = offer.image
        before = await asyncio.to_thread(self._contents, image)
        is_directory = before.files[0].path != image.parts
        shelf.check_place(self.name, image, is_directory)
        partial = shelf.root.partial(image)
        copying = Copying(before, self._recognised().image(image), partial, offer.version)
        if not copying.shares_disk():
            needed = before.size - copying.done
            await asyncio.to_thread(shelf.check_room, self.name, image, needed)
        began = time.monotonic()
        running = asyncio.ensure_future(asyncio.to_thread(self._take, copying, before, image, shelf))
        try:
            while not (await asyncio.wait((running,), timeout=TICK))[0]:
                shelf.coming(self.name, image, before.size, copying.done)
            digests = running.result()
        finally:
            copying.stop()
            await asyncio.wait((running,))
            running.exception()  # which nobody asks for where this is cancelled
        published = metainfo.encode(
            shelf.root.mirror.name,
            image,
            before.files,
            metainfo.piece_length(before.size),
            digests.pieces,
            Stamp(before.mtimes, digests.tail_sum, digests.full_sum),
            shelf.trackers,
        )
        await shelf.land(published, over, Brought(self.name, offer.version, published.info_hash.hex()))
        log.info("%s: brought from %s in %.1f s", image, self.name, time.monotonic() - began)

    def _take(self, copying: Copying, before: Contents, image: ImagePath, shelf: Shelf) -> Digests:
        """Copy and hash. Raises MirrorFailed, UnknownRoot."""
        try:
            copying.run()
            if self._contents(image) != before:
                raise self._failed(image, words("it changed while it was copied"))
            digests = hash_files(copying.targets, metainfo.piece_length(before.size), copying.progress)
        except SourceFailed as error:
            raise UnknownRoot(self.name, f"{error}.") from error
        except (OSError, NotWritable) as error:
            code = error.errno if isinstance(error, OSError) else error.code
            if code in (errno.ENOSPC, errno.EDQUOT):
                raise shelf.no_room(self.name, image, before.size - copying.done) from error
            why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            raise self._failed(image, why.removesuffix(".")) from error
        told = self._sum(image, max(before.mtimes))
        if told is not None and told != digests.full_sum:
            copying.forget()
            raise self._failed(
                image, words("its MD5 is not the one in {file}", file=image.name + Sidecar.FULL_SUM)
            )
        return digests

    def _sum(self, image: ImagePath, mtime: int) -> str | None:
        """The MD5 that OpenGnsys wrote beside the image after it; None where there is none."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            file = self._recognised().sidecar(image, Sidecar.FULL_SUM)
            if file.stat().st_mtime_ns >= mtime:
                found = file.read_text()[:64].strip()
                return found if _MD5(found) else None
        return None

    def _failed(self, image: ImagePath, why: str) -> OgtorrentError:
        return MirrorFailed(str(image), self.name, why, words("It is tried again."))


def _version(seen: Contents) -> str:
    facts = [[file.path, file.length, mtime] for file, mtime in zip(seen.files, seen.mtimes, strict=True)]
    return hashlib.sha1(json.dumps(facts).encode(), usedforsecurity=False).hexdigest()
