"""Disks that carry a repository: where one is mounted, and which tree it has."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.errors import BadAddress, NoDisk
from ogtorrent.layout.aliases import DISKS, MOUNTS, REMOVABLE, REPO, as_address
from ogtorrent.layout.root import Root
from ogtorrent.layout.trees import recognise
from ogtorrent.words import words


def mounted_disk(name: str) -> Path:
    """Where a disk is mounted: `usb` and `dvd` are the only one of their kind, else it is a path or place.

    Raises NoDisk, and BadAddress where there are several or the name is none.
    """
    prefix = REMOVABLE.get(name.lower())
    if prefix is not None:
        return _only(name, sorted(path for path in DISKS.glob(f"{prefix}*") if path.is_mount()))
    if "/" in name or name in (".", ".."):
        place = Path(name)
    elif name.startswith(tuple(REMOVABLE.values())):
        place = DISKS / name
    elif name in (str(REPO), str(REPO).lower()) or as_address(name) is not None:
        place = MOUNTS / name
    else:
        raise BadAddress(name, words("a disk is usb, dvd, a folder's path, USB-ID, DVD-ID or an address"))
    if not place.is_dir():
        raise NoDisk(words("{path} is no directory", path=place), words("Mount it, or name another one."))
    return place.absolute()


def on_disk(top: Path) -> Root:
    """The image root of a disk that is mounted at `top`, or of the tree that is. Raises UnknownRoot."""
    for below in ("opt/opengnsys/repo", "opt/opengnsys"):
        if (top / below / "images").is_dir():
            return recognise(top / below)
    packages = sorted(top.glob("var/opt/*/hdimages"))
    if packages:
        return recognise(packages[0])
    found = recognise(top)
    bare = found.path == top and (top / "images").is_dir() and top.name != "images"
    return recognise(top / "images") if bare else found


def _only(name: str, mounted: list[Path]) -> Path:
    if not mounted:
        raise NoDisk(
            words("no {kind} is mounted", kind=name.upper()), words("Plug it in: ogtorrent mount storage.")
        )
    if len(mounted) > 1:
        names = ", ".join(path.name for path in mounted)
        raise BadAddress(name, words("there are several, {names}: name one", names=names))
    return mounted[0]
