"""The repository that a mirror fills: what it holds, whether an image fits, and how one lands."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from ogtorrent.errors import MirrorFailed
from ogtorrent.files import exchange, remove, sync_directory
from ogtorrent.layout import ImagePath, Root, Sidecar, Tree
from ogtorrent.repository.mirror.notes import Note, Notes, Record, State
from ogtorrent.repository.mirror.plan import Brought, Held
from ogtorrent.repository.publish import standing
from ogtorrent.repository.publisher import Publisher
from ogtorrent.repository.publisher import State as Published
from ogtorrent.swarm.forms import in_form, same_pieces
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.sidecars import write_sidecars
from ogtorrent.swarm.torrent import places
from ogtorrent.words import words

RESERVE = 16 * 1024 * 1024  # bytes that are left for sidecars, and for the tracker's own file


class Shelf:
    """Sources put their images here; each method that takes long is called in a thread."""

    def __init__(self, publisher: Publisher, trackers: Sequence[str]) -> None:
        self.root: Root = publisher.root
        self.trackers = tuple(trackers)
        self.notes: Notes = {}
        self._publisher = publisher
        self._record = Record(Tree(self.root).home)

    def held(self) -> dict[ImagePath, Held]:
        """Every image that stands here."""
        found = {}
        for image, entry in self._publisher.catalogue.copy().items():
            ready = entry.state is Published.READY and entry.metainfo is not None
            version = entry.metainfo.info_hash.hex() if ready and entry.metainfo is not None else ""
            found[image] = Held(version, self._record.images.get(image))
        return found

    def metainfo(self, image: ImagePath) -> Metainfo | None:
        entry = self._publisher.catalogue.get(image)
        return None if entry is None else entry.metainfo

    def standing(self, first: ImagePath) -> Iterator[tuple[Path, Metainfo]]:
        """Every image that stands here, `first` first: what a new one may have pieces of."""
        catalogue = self._publisher.catalogue.copy()
        for image in sorted(catalogue, key=lambda image: (image != first, image)):
            metainfo = catalogue[image].metainfo
            if metainfo is not None:
                yield self.root.image(image), metainfo

    def coming(self, source: str, image: ImagePath, size: int, done: int) -> None:
        self.notes[image] = Note(source, State.COMING, size, done)

    def adopt(self, image: ImagePath, brought: Brought) -> None:
        """From now on an image that stands is the source's. Raises NotWritable."""
        self._record.note(image, brought)
        self.notes[image] = Note(brought.source, State.IN_STEP)

    def take_form(self, theirs: Metainfo) -> Metainfo | None:
        """What stands here, in the source's form from now on; None where it is another image.
        Raises NotWritable."""
        with self._publisher.still:
            ours = standing(self.root, theirs.image)
            if ours is None or not same_pieces(ours, theirs):
                return None
            ours = in_form(ours, theirs.is_single)
            write_sidecars(self.root, ours)
            self._publisher.enter(ours)
            return ours

    def check_place(self, source: str, image: ImagePath, is_directory: bool) -> None:
        """Whether an image may stand there. Raises MirrorFailed."""
        why = self._unfit(image, is_directory)
        if why is not None:
            raise MirrorFailed(
                str(image), source, why, words("Rename it at the source, or do not choose it.")
            )

    def _unfit(self, image: ImagePath, is_directory: bool) -> str | None:
        if not self.root.takes(image, is_directory):
            return words("the layout {layout} has no image of that name", layout=self.root.mirror.layout)
        above = self.root.path
        for part in image.parts[:-1]:
            above = above / part
            if above.is_symlink() or (above.exists() and not above.is_dir()):
                return words("{path} is no folder", path=above)
        for other in self._publisher.catalogue.copy():
            shorter, longer = sorted((image.parts, other.parts), key=len)
            if other != image and longer[: len(shorter)] == shorter:
                return words("{other!r} is an image here", other=str(other))
        return None

    def check_room(self, source: str, image: ImagePath, needed: int) -> None:
        """Raises MirrorFailed where `needed` more bytes find no room."""
        free = shutil.disk_usage(self.root.path).free
        if needed + RESERVE > free:
            raise self.no_room(source, image, needed)

    def no_room(self, source: str, image: ImagePath, needed: int) -> MirrorFailed:
        return MirrorFailed(
            str(image),
            source,
            words(
                "the disk is full, it needs {needed} more bytes and {free} are free",
                needed=needed,
                free=shutil.disk_usage(self.root.path).free,
            ),
            words("Remove an image that is no longer wanted; what came is kept, and it is tried again."),
        )

    async def land(self, published: Metainfo, over: str, brought: Brought) -> None:
        """Give a whole download its final name and its sidecars. Raises OSError, NotWritable, MirrorFailed.

        `over`: the info-hash of what stood there when it was begun; empty where nothing did.
        """
        await asyncio.to_thread(self._land, published, over, brought.source)
        self.adopt(published.image, brought)

    def _land(self, published: Metainfo, over: str, source: str) -> None:
        image = published.image
        partial, final = self.root.partial(image), self.root.image(image)
        # To the publisher an image and its sidecars come at once: it would hash what has none.
        with self._publisher.still:
            now = standing(self.root, image)
            same = now is not None and now.info_hash.hex() == over if over else not os.path.lexists(final)
            if not same or self.root.sidecar(image, Sidecar.LOCK).exists():
                raise MirrorFailed(
                    str(image),
                    source,
                    words("it was changed here while it came"),
                    words("Move what stands here out of the way to have the source's."),
                )
            if final.is_dir() or (published.is_directory and final.exists()):
                exchange(partial, final)
            else:
                partial.replace(final)
            sync_directory(final.parent)
            write_sidecars(self.root, published)
            self._publisher.enter(published)
        for left in (partial, self.root.record(image)):
            remove(left)


def on_disk(root: Root, wanted: Metainfo) -> int:
    """Bytes of disk that a download has already."""
    total = 0
    for path in places(wanted, root.partial(wanted.image)):
        if os.path.lexists(path):
            total += os.lstat(path).st_blocks * 512
    return total
