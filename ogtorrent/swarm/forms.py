"""The metainfo of an image made into another of the same image; no piece is hashed again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import libtorrent as lt

from ogtorrent.layout import ImagePath
from ogtorrent.swarm.metainfo import STAMP, Metainfo, Stamp, announced, decode, encode, stamp_fields


def in_form(metainfo: Metainfo, single: bool) -> Metainfo:
    """The same image in the form of one file or of a tree; no piece is hashed. A directory has one form."""
    if metainfo.is_directory or metainfo.is_single is single or metainfo.stamp is None:
        return metainfo
    return encode(
        metainfo.name,
        metainfo.image,
        metainfo.files,
        metainfo.piece_length,
        b"".join(metainfo.hashes()),
        metainfo.stamp,
        metainfo.trackers,
        single,
    )


def same_pieces(one: Metainfo, other: Metainfo) -> bool:
    """Whether both say the same of an image, if in different forms: what one verified, the other has."""
    return in_form(one, other.is_single).info_hash == other.info_hash


def stamped(metainfo: Metainfo, name: str, image: ImagePath, stamp: Stamp) -> Metainfo:
    """Somebody else's metainfo of one file, as that of an image of a root called `name`; the info-hash stays.
    Raises HostileMetainfo where it is not of that file."""
    outer = _outer(metainfo)
    outer[STAMP] = stamp_fields(stamp, image, False) | {b"root": name.encode()}
    return decode(bytes(lt.bencode(outer)), str(image))


def with_trackers(metainfo: Metainfo, trackers: Sequence[str]) -> Metainfo:
    """The same image, announced elsewhere; the info-hash stays."""
    outer = _outer(metainfo)
    return decode(announced(outer, trackers), str(metainfo.image))


def under_name(metainfo: Metainfo, name: str, trackers: Sequence[str]) -> Metainfo:
    """The same image as a root called `name` publishes it: no piece is hashed again.

    The info-hash stays where the name does, or is not in it. What is neither the image's nor ours, such as
    web seeds, is left out. Raises HostileMetainfo.
    """
    outer = _outer(metainfo)
    info, stamp = outer[b"info"], outer[STAMP]
    if metainfo.is_single:
        stamp = {**stamp, b"root": name.encode()}
    else:
        info = {**info, b"name": name.encode()}
    kept = {b"created by": b"ogtorrent", b"info": info, STAMP: stamp}
    return decode(announced(kept, trackers), str(metainfo.image))


def _outer(metainfo: Metainfo) -> dict[bytes, Any]:
    """As it was decoded before."""
    outer: Any = lt.bdecode(metainfo.raw)
    return dict(outer)
