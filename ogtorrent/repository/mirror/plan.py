"""What is to be done with each image that a source offers. Pure: from what is offered, held and chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ogtorrent.fetch.catalogue import Listed
from ogtorrent.layout import ImagePath

# Seconds until a source, or an image, that failed is tried again: the first time, and at most.
FIRST, LONGEST = 5.0, 300.0


@dataclass(frozen=True)
class Brought:
    """What was noted when an image had been brought."""

    source: str
    version: str  # as the source calls it
    stands: str  # the info-hash that it was published with here


@dataclass(frozen=True)
class Held:
    """What this repository has of an image."""

    version: str  # the info-hash; empty while it is not published
    brought: Brought | None = None


@dataclass(frozen=True)
class InStep:
    image: ImagePath


@dataclass(frozen=True)
class Bring:
    """Fetch it beside what stands, which is `over`."""

    offer: Listed
    over: str = ""

    @property
    def image(self) -> ImagePath:
        return self.offer.image


@dataclass(frozen=True)
class Compare:
    """Something stands that no mirror has brought, or that was changed here: the same, perhaps."""

    offer: Listed
    held: Held

    @property
    def image(self) -> ImagePath:
        return self.offer.image


@dataclass(frozen=True)
class Wait:
    """The source does not have it ready; `stands`: an earlier version is here meanwhile."""

    image: ImagePath
    state: str
    stands: bool


@dataclass(frozen=True)
class Busy:
    """It is being written, hashed or locked here."""

    image: ImagePath


@dataclass(frozen=True)
class Elsewhere:
    """Another source brings it."""

    image: ImagePath


@dataclass(frozen=True)
class Keep:
    """The source has it no more. Nobody throws away an image because a server had a bad day."""

    image: ImagePath


Step = InStep | Bring | Compare | Wait | Busy | Elsewhere | Keep


def chosen(image: ImagePath, globs: Sequence[str]) -> bool:
    """A glob with a slash is of the whole path, another one of the name; without globs all are chosen."""
    return not globs or any(fnmatchcase(str(image) if "/" in glob else image.name, glob) for glob in globs)


def plan(
    source: str,
    offers: Sequence[Listed],
    held: Mapping[ImagePath, Held],
    claimed: Collection[ImagePath],
    living: Collection[str],
) -> Iterator[Step]:
    """A step for each image that is offered, or was. `offers`: those that are chosen. `claimed`: images
    that another source brings or that one before this offers. `living`: every source that is followed."""
    for offer in offers:
        yield Elsewhere(offer.image) if offer.image in claimed else _step(source, offer, held, living)
    offered = {offer.image for offer in offers}
    for image, here in sorted(held.items()):
        ours = here.brought is not None and here.brought.source == source
        if ours and image not in offered:
            yield Keep(image)


def _step(source: str, offer: Listed, held: Mapping[ImagePath, Held], living: Collection[str]) -> Step:
    here = held.get(offer.image)
    brought = here.brought if here is not None else None
    if brought is not None and brought.source != source and brought.source in living:
        return Elsewhere(offer.image)
    if not offer.version:
        return Wait(offer.image, offer.state, here is not None)
    if here is None:
        return Bring(offer)
    if not here.version:
        return Busy(offer.image)
    if here.brought is None or here.brought.stands != here.version:
        return Compare(offer, here)
    if here.brought.version == offer.version:
        return InStep(offer.image)
    return Bring(offer, here.version)


def pause(failures: int) -> float:
    """Seconds until the next try after so many failures in a row."""
    return min(LONGEST, FIRST * 2.0 ** min(failures - 1, 10))
