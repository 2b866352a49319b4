"""When has an image settled? Decided purely, from what was seen and when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.repository.publish import Contents, contents
from ogtorrent.repository.writers import is_open_for_writing

QUIET = 1.0  # seconds without a change after the last writer has closed the image


class Busy(StrEnum):
    """Why an image is not published yet."""

    LOCKED = "locked"
    WRITTEN = "being written"


@dataclass(frozen=True)
class Sight:
    """An image as it was seen at one moment."""

    contents: Contents
    busy: Busy | None


@dataclass(frozen=True)
class Waiting:
    """An image that has not settled: how it looks, and since when it has looked so."""

    sight: Sight
    since: float


def look(root: Root, image: ImagePath) -> Sight:
    """See an image now. Raises UnfitImage, or FileNotFoundError where it is gone."""
    found = contents(root, image)
    if root.sidecar(image, Sidecar.LOCK).exists():
        return Sight(found, Busy.LOCKED)
    if any(is_open_for_writing(path) for path in found.paths):
        return Sight(found, Busy.WRITTEN)
    return Sight(found, None)


def wait(waiting: Waiting | None, sight: Sight, now: float) -> Waiting:
    """What is known after one more look at an image."""
    if waiting is not None and waiting.sight == sight:
        return waiting
    return Waiting(sight, now)


def has_settled(waiting: Waiting, now: float) -> bool:
    return waiting.sight.busy is None and now - waiting.since >= QUIET
