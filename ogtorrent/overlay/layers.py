"""Which layer wins: a client's overlay over its group's, path by path. Decided purely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ogtorrent.errors import CorruptImage
from ogtorrent.layout import MANIFEST, Layer
from ogtorrent.overlay.gather import gather
from ogtorrent.overlay.manifest import LARGEST, Entry, Kind, decode
from ogtorrent.words import words


@dataclass(frozen=True)
class Overlay:
    """What a group or a client lays over one image, and where its bytes stand."""

    layer: Layer
    holder: str
    place: Path
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        return f"{self.layer}/{self.holder}"


@dataclass(frozen=True)
class Laid:
    """A path as it is laid over: whose it is, and whose is not laid for it, the last one last."""

    entry: Entry
    overlay: Overlay
    source: str  # where the bytes of a file stand in its overlay
    over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Merged:
    """`laid`: each path after its directory. `hidden`: what is not laid, as no directory is above it."""

    laid: Mapping[str, Laid]
    hidden: tuple[Laid, ...]


def read(layer: Layer, holder: str, place: Path) -> Overlay:
    """An overlay as it was published. Raises CorruptImage."""
    name = f"{layer}/{holder}"
    try:
        with (place / MANIFEST).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise CorruptImage(
            str(place),
            words("its manifest cannot be read ({why})", why=error.strerror),
            words("Run update-cache again."),
        ) from error
    return Overlay(layer, holder, place, decode(raw, name))


def gathered(layer: Layer, holder: str, place: Path) -> Overlay:
    """An overlay as it stands on a repository now, published or not. Raises UnfitImage."""
    return Overlay(layer, holder, place, gather(place, f"{layer}/{holder}"))


def merge(overlays: Iterable[Overlay]) -> Merged:
    """Of those that apply, the one that wins last."""
    found: dict[str, Laid] = {}
    for overlay in overlays:
        for entry in overlay.entries:
            before = found.get(entry.path)
            over = (*before.over, before.overlay.name) if before is not None else ()
            source = entry.target if entry.kind is Kind.HARD_LINK else entry.path
            found[entry.path] = Laid(entry, overlay, source, over)
    laid: dict[str, Laid] = {}
    hidden = []
    for path in sorted(found, key=lambda path: path.split("/")):
        above, slash, _ = path.rpartition("/")
        if slash and (above not in laid or laid[above].entry.kind is not Kind.DIRECTORY):
            hidden.append(found[path])
        else:
            laid[path] = found[path]
    return Merged(_linked(laid), tuple(hidden))


def _linked(laid: Mapping[str, Laid]) -> Mapping[str, Laid]:
    """A file's first name that is laid is the file: another layer may have taken the one that was."""
    firsts: dict[tuple[str, str], str] = {}
    told = {}
    for path, one in laid.items():
        if one.entry.kind in (Kind.FILE, Kind.HARD_LINK):
            first = firsts.setdefault((one.overlay.name, one.source), path)
            if first == path:
                file = next(entry for entry in one.overlay.entries if entry.path == one.source)
                one = replace(one, entry=replace(file, path=path))
            else:
                one = replace(one, entry=Entry(path, Kind.HARD_LINK, target=first))
        told[path] = one
    return told
