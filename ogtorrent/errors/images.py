"""Images, overlays, and the folders that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ogtorrent.errors.root import OgtorrentError
from ogtorrent.words import words


class UnknownImage(OgtorrentError):
    exit_code = 2

    def __init__(self, image: str, server: str, near: Sequence[str] = ()) -> None:
        self.image, self.server, self.near = image, server, tuple(near)
        advice = (
            words("Did you mean {images}?", images=words(" or ").join(near))
            if near
            else words("See http://{server}/catalogue for what it publishes.", server=server)
        )
        super().__init__(
            words(
                "{server} publishes no image {image!r}. {advice}", server=server, image=image, advice=advice
            )
        )


class UnknownRoot(OgtorrentError):
    exit_code = 2

    def __init__(self, where: str, advice: str) -> None:
        self.where = where
        super().__init__(
            words("There is no folder of images at {where}. {advice}", where=where, advice=advice)
        )


class AnotherTree(OgtorrentError):
    exit_code = 1

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(
            words(
                "No tree is made of {path}: {why}. Nothing was changed; name another folder.",
                path=path,
                why=why,
            )
        )


class NotInCache(OgtorrentError):
    exit_code = 2

    def __init__(self, what: str, advice: str) -> None:
        self.what = what
        super().__init__(words("The cache does not hold {what}. {advice}", what=what, advice=advice))


class AmbiguousImage(OgtorrentError):
    exit_code = 1

    def __init__(self, image: str, places: Sequence[Path]) -> None:
        self.image, self.places = image, tuple(places)
        super().__init__(
            words(
                "The cache holds {image!r} more than once: {places}. Name the one you mean by its path.",
                image=image,
                places=", ".join(map(str, places)),
            )
        )


class ImagePinned(OgtorrentError):
    exit_code = 4

    def __init__(self, image: str) -> None:
        self.image = image
        super().__init__(
            words("The image {image!r} is pinned. Unpin it first, or remove it with --force.", image=image)
        )


class ImageLocked(OgtorrentError):
    exit_code = 4

    def __init__(self, image: str, why: str) -> None:
        self.image = image
        super().__init__(
            words(
                "The image {image!r} is locked: {why}. Try again when that has ended.", image=image, why=why
            )
        )


class UnfitImage(OgtorrentError):
    exit_code = 5

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image, self.why = image, why
        super().__init__(
            words(
                "The image {image!r} cannot be published: {why}. {advice}",
                image=image,
                why=why,
                advice=advice,
            )
        )


class UpdateFailed(OgtorrentError):
    exit_code = 31

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image, self.why = image, why
        super().__init__(
            words(
                "The image {image!r} could not be brought into the cache: {why}. {advice}",
                image=image,
                why=why,
                advice=advice,
            )
        )


class OverlayFailed(UpdateFailed):
    def __init__(self, image: str, why: str) -> None:
        self.image, self.why = image, why
        OgtorrentError.__init__(
            self,
            words(
                "The image {image!r} stands whole in the cache, but not all that is laid over it: {why}. "
                "Run this again before it is restored.",
                image=image,
                why=why,
            ),
        )


class HostileMetainfo(UpdateFailed):
    def __init__(self, source: str, why: str) -> None:
        self.source, self.why = source, why
        super().__init__(
            source,
            words("its metainfo is refused, {why}", why=why),
            words("Publish the image anew on the repository."),
        )


class MirrorFailed(OgtorrentError):
    exit_code = 31

    def __init__(self, image: str, source: str, why: str, advice: str) -> None:
        self.image, self.source, self.why = image, source, why
        super().__init__(
            words(
                "The image {image!r} was not brought from {source}: {why}. {advice}",
                image=image,
                source=source,
                why=why,
                advice=advice,
            )
        )


class CorruptImage(OgtorrentError):
    exit_code = 33

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image = image
        super().__init__(
            words("The image {image!r} is damaged: {why}. {advice}", image=image, why=why, advice=advice)
        )
