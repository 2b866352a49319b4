"""The overlays of an image that apply to this PC: asked for with the image, and brought after it."""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ogtorrent.cache import control, events, records, removal
from ogtorrent.cache.control import Seeder
from ogtorrent.cache.options import Protocol, WhenFull
from ogtorrent.cache.order import Order
from ogtorrent.errors import (
    BadName,
    HostileMetainfo,
    NotARepository,
    NotWritable,
    OgtorrentError,
    OverlayFailed,
)
from ogtorrent.fetch import catalogue
from ogtorrent.fetch.server import Server
from ogtorrent.layout import ImagePath, Layer, Layout, Mirror, Root, Tree, cache_root, name_in, overlay_roots
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import LARGEST_TORRENT, Metainfo
from ogtorrent.words import words

MOST = 16  # overlays of one image that apply to one PC: its group's and its own, today


@dataclass(frozen=True)
class Offered:
    """An overlay that applies to this PC; without metainfo it is not ready, and `why`."""

    layer: Layer
    image: ImagePath
    metainfo: Metainfo | None
    why: str = ""

    @property
    def name(self) -> str:
        return f"{self.layer}/{self.image}"


@dataclass(frozen=True)
class Applying:
    """What applies to an image here. Where `trouble` is told, nobody knows."""

    offered: Sequence[Offered] = ()
    known: bool = False  # the repository has said so: whatever else is in the cache no longer applies
    trouble: str = ""


def ask(server: Server, image: ImagePath, mirror: Mirror, name: str, address: str) -> Applying:
    """Which overlays apply to the PC of that name and address; an older repository knows of none."""
    if mirror.layout is not Layout.CURRENT:
        return Applying()
    try:
        path = f"/overlays/{urllib.parse.quote(str(image))}?name={urllib.parse.quote(name)}"
        status, body = server.get(path, catalogue.LARGEST_ANSWER, address)
        if status == 404:
            return Applying()
        told = catalogue.answered(server, status, body).get("overlays")
        if not isinstance(told, list) or len(told) > MOST:
            raise NotARepository(str(server), words("it does not tell what is laid over an image"))
        return Applying([_offered(server, image, fields, address) for fields in told], True)
    except OgtorrentError as error:
        return Applying(trouble=str(error))


def _offered(server: Server, image: ImagePath, fields: Any, address: str) -> Offered:
    try:
        layer, overlay = Layer(fields["layer"]), ImagePath.parse(fields["overlay"])
        state, why = str(fields["state"]), str(fields["why"])
    except (LookupError, TypeError, ValueError, AttributeError, BadName):
        raise NotARepository(str(server), words("it does not tell what is laid over an image")) from None
    if overlay.parts[1:] != image.parts:
        raise NotARepository(str(server), words("it does not tell what is laid over an image"))
    if state != "ready":
        told = catalogue.printable(why).removesuffix(".")
        return Offered(layer, overlay, None, told or words("the repository has not published it yet"))
    path = f"/layers/{layer}/{urllib.parse.quote(str(overlay))}.torrent"
    status, raw = server.get(path, LARGEST_TORRENT, address)
    if status != 200:
        return Offered(layer, overlay, None, words("the repository has not published it yet"))
    published = metainfo.decode(raw, f"{layer}/{overlay}")
    if (published.name, published.image) != (layer, overlay) or published.stamp is None:
        raise HostileMetainfo(f"{layer}/{overlay}", words("it describes {image}", image=published.image))
    return Offered(layer, overlay, published)


def bring(applying: Applying, image: Order, seeder: Seeder) -> Iterator[events.Event]:
    """After its image stands. Raises OverlayFailed when all that could be done is done."""
    failed = [applying.trouble.removesuffix(".")] if applying.trouble else []
    for offered in applying.offered:
        if offered.metainfo is None:
            failed.append(f"{offered.name}: {offered.why}")
            continue
        order = _order(image, offered.layer, offered.metainfo)
        try:
            for event in seeder.update(order):
                if isinstance(event, events.MakingRoom):
                    yield event
                elif isinstance(event, events.Done):
                    state = "brought" if event.fetched or event.shared else "whole"
                    yield events.Overlay(offered.name, str(order.place), event.size, event.fetched, state)
                elif isinstance(event, events.Failed):
                    failed.append(f"{offered.name}: {event.message.removesuffix('.')}")
        except OgtorrentError as error:  # of the seeder
            failed.append(f"{offered.name}: {str(error).removesuffix('.')}")
    if applying.known:
        wanted = {offered.name for offered in applying.offered}
        yield from _remove_others(image.cache, image.metainfo.image, wanted, failed)
    if failed:
        raise OverlayFailed(str(image.metainfo.image), "; ".join(failed))


def _order(image: Order, layer: Layer, wanted: Metainfo) -> Order:
    # Written over, there would be none for a while, and a seat may be restored at any time.
    full = replace(image.full, action=WhenFull.FAIL) if image.full.action is WhenFull.IN_PLACE else image.full
    return replace(
        image,
        root=cache_root(image.cache, Mirror(Layout.CURRENT, layer)),
        metainfo=wanted,
        trackers=tuple(dict.fromkeys((image.repository.announce, *wanted.trackers))),
        full=full,
        protocol=Protocol.TORRENT,  # they are small, and have no session of their own
        session=None,
        laid_over=name_in(image.cache, image.place),
    )


def _remove_others(
    cache: Path, image: ImagePath, wanted: Collection[str], failed: list[str]
) -> Iterator[events.Event]:
    for root in overlay_roots(cache):
        for overlay in list(root.overlays_of(image)):
            name = root.called(overlay)
            if name in wanted:
                continue
            try:
                remove(cache, root, overlay)
            except OgtorrentError as error:  # it would be laid over, and does not apply
                failed.append(f"{name}: {str(error).removesuffix('.')}")
            else:
                yield events.Overlay(name, str(root.image(overlay)), 0, 0, "removed")


def remove(cache: Path, root: Root, overlay: ImagePath) -> None:
    """Raises ImageLocked, CannotJoin, NotWritable."""
    place = root.image(overlay)
    with control.held(cache, root, overlay):
        try:
            removal.remove_image(root, overlay)
        except OSError as error:
            raise NotWritable.of(Path(error.filename or place), error) from error
    with contextlib.suppress(NotWritable):  # it is gone, whatever is remembered of it
        records.forget(cache, name_in(cache, place))


def remove_all(cache: Path, images: Root, image: ImagePath) -> None:
    """What is laid over an image that has gone. Raises as `remove`."""
    for root in Tree(images).layers:
        if root.path.is_dir():
            for overlay in list(root.overlays_of(image)):
                remove(cache, root, overlay)
