"""An image as OpenGnsys's own `torrent-creator` publishes it, in a repository that is mounted here.

Its metainfo is of one file without a path; what our stamp tells stands beside the image there: its times, and
the MD5 sums in `.sum` and `.full.sum`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ogtorrent.errors import UnknownImage, UpdateFailed
from ogtorrent.layout import ImagePath, Layout, Mirror, Root, Sidecar
from ogtorrent.opengnsys.seat import spelt
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.forms import stamped
from ogtorrent.swarm.metainfo import Metainfo, Stamp
from ogtorrent.words import words

MIRROR = Mirror(Layout.LEGACY, "images")
_TAIL = 1024 * 1024  # bytes


def published(images: Path, server: str, image: ImagePath) -> Metainfo:
    """What a mounted repository says of an image, stamped as ours.

    Raises UnknownImage, UpdateFailed, HostileMetainfo.
    """
    root = Root(images, MIRROR)
    try:
        if not root.image(image).exists():
            meant = spelt(image, root.images())
            if meant is None:
                raise UnknownImage(str(image), server, [])
            image = meant
        place = root.image(image)
        found = metainfo.read(root.sidecar(image, Sidecar.TORRENT))
        status = place.stat()
        if not found.is_single or found.size != status.st_size:
            raise UpdateFailed(
                str(image),
                words("its .torrent in {path} is of another file", path=images),
                words("Wait until torrent-creator has made it anew."),
            )
        tail = _sum(root.sidecar(image, Sidecar.TAIL_SUM)) or _tail_of(place, status.st_size)
        full = _sum(root.sidecar(image, Sidecar.FULL_SUM))
    except OSError as error:
        raise UpdateFailed(
            str(image),
            f"{error.filename}: {error.strerror}",
            words("Wait until torrent-creator has published it."),
        ) from error
    return stamped(found, MIRROR.name, image, Stamp((status.st_mtime_ns,), tail, full))


def _sum(path: Path) -> str:
    """Raises OSError."""
    return path.read_text(errors="replace").split(" ")[0].strip().lower()


def _tail_of(place: Path, size: int) -> str:
    with place.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
