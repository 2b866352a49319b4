"""What a disk's `.torrent` files say of its images, as far as names and sizes tell.

Copying an image changes its times, and some file systems of disks keep none to the nanosecond. So the stamp
is not asked for: sizes must fit, and each piece is verified when it is first read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ogtorrent.errors import BadName, HostileMetainfo, NoDisk
from ogtorrent.layout import ImagePath, Layout, Mirror, Root, Sidecar, on_disk
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.words import words

Signature = tuple[int, ...]


@dataclass(frozen=True)
class OnDisk:
    """An image of a disk; without metainfo it cannot be seeded, and `why`."""

    image: ImagePath
    place: Path
    metainfo: Metainfo | None
    why: str = ""


def root_of(top: Path) -> Root:
    """The image root of what is mounted at `top`, called as its `.torrent` files call it.

    A bare folder may have had another name where it was published. Raises UnknownRoot, NoDisk.
    """
    root = on_disk(top)
    keep_on_disk(top, root)
    if root.mirror.layout is Layout.BARE:
        for torrent in root.torrents():
            try:
                return replace(root, mirror=Mirror(Layout.BARE, metainfo.read(torrent).name))
            except (OSError, HostileMetainfo, BadName):
                continue
    return root


def keep_on_disk(top: Path, root: Root) -> None:
    """Raises NoDisk where the root that was found at `top` is another file system's."""
    if leads_out(top, root.path):
        raise NoDisk(
            words("{path} is a link that leads out of the disk", path=root.path),
            words("Name the folder that is meant."),
        )


def leads_out(top: Path, path: Path) -> bool:
    """Whether links lead to another file system: who made a disk made its links, and may not read that one.

    Raises OSError.
    """
    return path.stat().st_dev != top.stat().st_dev and not path.resolve().is_relative_to(top.resolve())


class Survey:
    """Looks at a disk time and again; no `.torrent` is read twice, and no image."""

    def __init__(self, root: Root, aside: Root | None = None) -> None:
        """`aside`: where `.torrent` files of images stand that have none of their own."""
        self._root, self._aside = root, aside
        self._read: dict[Path, tuple[Signature, Metainfo | str]] = {}

    def look(self) -> dict[ImagePath, OnDisk]:
        """Raises OSError."""
        found = {
            image: self._standing(image) for image in {*self._root.torrent_images(), *self._root.images()}
        }
        return {image: standing for image, standing in found.items() if standing is not None}

    def _standing(self, image: ImagePath) -> OnDisk | None:
        place = self._root.image(image)
        if not place.exists():
            return None
        if leads_out(self._root.path, place):
            return OnDisk(image, place, None, words("it is a link that leads out of the disk"))
        why = words("it has no .torrent")
        for torrent, is_ours in self._torrents(image):
            said = self._metainfo(torrent)
            if said is None:
                continue
            if isinstance(said, Metainfo):
                why = self._misfit(said, image, place, is_ours)
                if not why:
                    return OnDisk(image, place, said)
            else:
                why = said
        return OnDisk(image, place, None, why)

    def _torrents(self, image: ImagePath) -> Iterator[tuple[Path, bool]]:
        """Where its metainfo may be, and whether we made it of this very file."""
        yield self._root.sidecar(image, Sidecar.TORRENT), False
        if self._aside is not None:
            yield self._aside.sidecar(image, Sidecar.TORRENT), True

    def _metainfo(self, torrent: Path) -> Metainfo | str | None:
        """What a file says, or why it says nothing; None where there is none."""
        try:
            status = torrent.stat()
            signature = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            known = self._read.get(torrent)
            if known is None or known[0] != signature:
                self._read[torrent] = known = signature, metainfo.read(torrent)
        except FileNotFoundError:
            return None
        except OSError as error:
            return words("its .torrent cannot be read: {why}", why=error.strerror)
        except HostileMetainfo as error:
            self._read[torrent] = known = signature, str(error).removesuffix(".")
        return known[1]

    def _misfit(self, said: Metainfo, image: ImagePath, place: Path, is_ours: bool) -> str:
        """Why metainfo is not of what stands there; empty where it may be."""
        if (said.name, said.image) != (self._root.mirror.name, image):
            return words("its .torrent is of {image}", image=f"{said.name}/{said.image}")
        if is_ours:
            return "" if said.describes(place) else words("it has changed since it was read")
        for file in said.files:
            path = place.joinpath(*said.within(file))
            try:
                size = path.stat().st_size
                if leads_out(place, path):
                    return words("{file} is a link that leads out of the disk", file=path.name)
            except OSError as error:
                return words("{file} cannot be read: {why}", file=path.name, why=error.strerror)
            if size != file.length:
                return words(
                    "{file} has {size} bytes, its .torrent says {wanted}",
                    file=path.name,
                    size=size,
                    wanted=file.length,
                )
        return ""
