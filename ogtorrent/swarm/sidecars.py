"""The sidecars that follow from an image's metainfo, the same on a repository and on a cache."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.errors import HostileMetainfo
from ogtorrent.files import write_whole
from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import Metainfo


def metainfo_of(root: Root, image: ImagePath, torrent: Path | None = None) -> Metainfo | None:
    """What `torrent`, or else the image's sidecar, says of an image; None where it cannot be read, or is of
    another image."""
    try:
        found = metainfo.read(torrent or root.sidecar(image, Sidecar.TORRENT))
    except (OSError, HostileMetainfo):
        return None
    return found if (found.name, found.image) == (root.mirror.name, image) else None


def write_sidecars(root: Root, published: Metainfo) -> None:
    """Write `.sum`, `.full.sum` and, last, `.torrent` beside the image. Raises NotWritable."""
    write_sums(root, published)
    write_whole(root.sidecar(published.image, Sidecar.TORRENT), published.raw)


def write_sums(root: Root, published: Metainfo) -> None:
    """Raises NotWritable."""
    if published.stamp is not None:
        for kind, digest in (
            (Sidecar.TAIL_SUM, published.stamp.tail_sum),
            (Sidecar.FULL_SUM, published.stamp.full_sum),
        ):
            write_whole(root.sidecar(published.image, kind), f"{digest}\n".encode())
