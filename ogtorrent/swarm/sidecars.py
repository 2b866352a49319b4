"""The sidecars that follow from an image's metainfo, the same on a repository and on a cache."""

from __future__ import annotations

from ogtorrent.files import write_whole
from ogtorrent.layout import Root, Sidecar
from ogtorrent.swarm.metainfo import Metainfo


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
