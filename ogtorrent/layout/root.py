"""A root of images on this machine, and where everything of an image stands below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from ogtorrent.errors import BadName
from ogtorrent.layout.names import (
    CLONEZILLA_MARK,
    IMAGE_SUFFIXES,
    MANIFEST,
    NOT_IMAGES,
    UNFINISHED_SUFFIXES,
    ImagePath,
    Sidecar,
    checked_component,
    speakable,
)
from ogtorrent.words import words

BACKUP = ".ant"  # of `anterior`
PREVIOUS = ".previous"  # the folder of the versions before, one beside each folder of images
_PREVIOUS_ENDINGS = (Sidecar.TORRENT, f"{Sidecar.TORRENT}.leaving")


class Layout(StrEnum):
    BARE = "bare"
    CURRENT = "current"
    LEGACY = "legacy"
    EAC = "eac"


class Layer(StrEnum):
    """Whose extra files are laid over an image, as the directory beside `images` is called."""

    GROUP = "groups"
    CLIENT = "clients"


@dataclass(frozen=True)
class Mirror:
    """Which tree a root belongs to; with it a cache rebuilds the repository's path under itself."""

    layout: Layout
    name: str  # the root's own directory name, the metainfo's `name`
    package: str = ""  # of the EAC layout

    def __post_init__(self) -> None:
        checked_component(self.name)
        if self.layout is Layout.CURRENT and self.name not in ("images", *Layer):
            raise BadName(self.name, words("the current layout has images, groups and clients"))
        if self.layout is Layout.EAC:
            checked_component(self.package)

    @property
    def path(self) -> PurePosixPath:
        """The root's path below `/` on a repository and below `$CACHE` on a PC."""
        match self.layout:
            case Layout.CURRENT:
                return PurePosixPath("opt/opengnsys/repo", self.name)
            case Layout.LEGACY:
                return PurePosixPath("opt/opengnsys/images")
            case Layout.EAC:
                return PurePosixPath("var/opt", self.package, "hdimages")
            case Layout.BARE:
                return PurePosixPath(self.name)


@dataclass(frozen=True)
class Root:
    """An image root on this machine: the directory that holds the images."""

    path: Path
    mirror: Mirror

    @property
    def layer(self) -> Layer | None:
        """Whose extra files stand here, HOLDER/IMAGE; None for a root of images."""
        if self.mirror.layout is not Layout.CURRENT or self.mirror.name == "images":
            return None
        return Layer(self.mirror.name)

    def image(self, image: ImagePath) -> Path:
        return self.path.joinpath(*image.parts)

    def sidecar(self, image: ImagePath, kind: Sidecar) -> Path:
        return self.path.joinpath(*image.parts[:-1], image.name + kind)

    def backup(self, image: ImagePath) -> Path:
        """Where OpenGnsys keeps the image before this one when it makes it anew."""
        return self.path.joinpath(*image.parts[:-1], image.name + BACKUP)

    def partial(self, image: ImagePath) -> Path:
        """Where a download grows: beside the image, on the same file system, hidden."""
        return self.path.joinpath(*image.parts[:-1], f".{image.name}.part")

    def wanted(self, image: ImagePath) -> Path:
        """The metainfo of that download."""
        partial = self.partial(image)
        return partial.with_name(partial.name + Sidecar.TORRENT)

    def previous(self, image: ImagePath) -> Path:
        """Where the version before the one that stands is kept: beside the image, hidden."""
        return self.path.joinpath(*image.parts[:-1], PREVIOUS, image.name)

    def previous_torrent(self, image: ImagePath) -> Path:
        return self.previous(image).with_name(image.name + Sidecar.TORRENT)

    def leaving_torrent(self, image: ImagePath) -> Path:
        """The metainfo of a version that is being put away, until it is that of the previous one."""
        return self.previous(image).with_name(f"{image.name}{Sidecar.TORRENT}.leaving")

    def removing(self, image: ImagePath) -> Path:
        """Where an image stands while it is removed, so that nobody meets half of it."""
        return self.path.joinpath(*image.parts[:-1], f".{image.name}.removed")

    def stepped_aside(self, name: str) -> Path:
        """Where a group's or client's directory stands for an instant while it is renamed."""
        return self.path / f".{name}.moving"

    @property
    def removed(self) -> Path:
        """Where the overlays of groups or clients that were removed are kept."""
        return self.path / ".removed"

    def hidden(self) -> Iterator[ImagePath]:
        """Every image of which a previous version or an unfinished download is there."""
        for directory, folders, files in os.walk(self.path):
            here, names = Path(directory), set()
            if PREVIOUS in folders:
                names = {path.name for path in (here / PREVIOUS).iterdir() if speakable(path.name)}
                names -= {name + ending for name in names for ending in _PREVIOUS_ENDINGS}
            hidden = (name for name in (*folders, *files) if name.startswith(".") and name.endswith(".part"))
            names |= {name[1:].removesuffix(".part") for name in hidden}
            folders[:] = sorted(name for name in folders if speakable(name))
            for name in sorted(names):
                try:
                    yield self.locate(here / name)
                except BadName:
                    continue

    def record(self, image: ImagePath) -> Path:
        """Which bytes of that download the disk is known to hold."""
        return self.partial(image).with_suffix(".safe")

    def called(self, image: ImagePath) -> str:
        """As people read it: an overlay with its layer."""
        return str(image) if self.layer is None else f"{self.mirror.name}/{image}"

    def manifest(self, image: ImagePath) -> Path:
        """What BitTorrent cannot carry of an overlay."""
        return self.image(image) / MANIFEST

    def overlays_of(self, image: ImagePath) -> Iterator[ImagePath]:
        """Of a root of a layer: that of each holder which has an overlay of `image` published or brought."""
        for holder in sorted(path.name for path in self.path.iterdir() if speakable(path.name)):
            overlay = ImagePath((holder, *image.parts))
            if _is_file(self.sidecar(overlay, Sidecar.TORRENT)):
                yield overlay

    def has_overlay(self, overlay: ImagePath) -> bool:
        """Of a root of a layer: whether one stands there, published or not."""
        return self._is_overlay(self.image(overlay))

    def locate(self, path: Path) -> ImagePath:
        """The image that stands at `path`. Raises BadName where it is outside the root."""
        try:
            return ImagePath(path.relative_to(self.path).parts)
        except ValueError:
            raise BadName(str(path), words("it is not below {path}", path=self.path)) from None

    def image_of_torrent(self, torrent: Path) -> ImagePath:
        return self.locate(torrent.with_name(torrent.name.removesuffix(Sidecar.TORRENT)))

    def torrent_images(self) -> Iterator[ImagePath]:
        """Every image that a `.torrent` is named for, whether it stands or not; others are passed over."""
        for torrent in self.torrents():
            try:
                image = self.image_of_torrent(torrent)
            except BadName:
                continue
            yield image

    def images(self) -> Iterator[ImagePath]:
        """Every image below the root, in order. Links to directories are not followed."""
        for directory, folders, files in os.walk(self.path):
            here = Path(directory)
            images = [name for name in folders if self._is_directory_image(here / name)]
            images += [name for name in files if self._is_file_image(here / name)]
            for name in sorted(images):
                yield self.locate(here / name)
            folders[:] = sorted(
                name for name in folders if name not in images and speakable(name) and name not in NOT_IMAGES
            )

    def unnameable(self) -> Iterator[Path]:
        """Whatever stands below the root under a name that is not UTF-8, as no image's can be."""
        for directory, folders, files in os.walk(self.path):
            for name in sorted(folders + files):
                try:
                    name.encode()
                except UnicodeEncodeError:
                    yield Path(directory, name)

    def torrents(self) -> Iterator[Path]:
        """Every `.torrent` of an image below the root, in order."""
        for directory, folders, files in os.walk(self.path):
            folders[:] = sorted(name for name in folders if self._may_hold_torrents(Path(directory, name)))
            for name in sorted(files):
                # `x.sum.torrent` is somebody's, but no sidecar of an image.
                stem = name.removesuffix(Sidecar.TORRENT)
                if stem != name and speakable(name) and not stem.endswith(tuple(Sidecar)):
                    yield Path(directory, name)

    def takes(self, image: ImagePath, is_directory: bool) -> bool:
        """Whether an image with that name would be found here, once it has its `.torrent`."""
        if any(part in NOT_IMAGES for part in image.parts) or image.name.endswith(UNFINISHED_SUFFIXES):
            return False
        return is_directory or self._is_file_image(self.image(image))

    def _may_hold_torrents(self, path: Path) -> bool:
        # What an overlay holds is not ours, whatever it is called.
        return speakable(path.name) and (self.layer is None or not self._is_overlay(path))

    def _is_file_image(self, path: Path) -> bool:
        if self.layer is not None:
            return False
        if not speakable(path.name) or path.name.endswith((*Sidecar, *UNFINISHED_SUFFIXES)):
            return False
        return self.mirror.layout is Layout.BARE or path.suffix in IMAGE_SUFFIXES

    def _is_directory_image(self, path: Path) -> bool:
        """A directory is an image by its suffix, by Clonezilla's mark, or once it was published."""
        if not speakable(path.name) or path.name in NOT_IMAGES or path.name.endswith(tuple(Sidecar)):
            return False
        if self.layer is not None:
            return self._is_overlay(path)
        return (
            path.suffix in IMAGE_SUFFIXES
            or _is_file(path / CLONEZILLA_MARK)
            or _is_file(path.with_name(path.name + Sidecar.TORRENT))
        )

    def _is_overlay(self, path: Path) -> bool:
        """A directory below a holder's that is called as an image is, or was published, and is not empty."""
        image = path.relative_to(self.path).parts[1:]
        if not image or not path.is_dir():
            return False
        images = Root(self.path.parent / "images", Mirror(Layout.CURRENT, "images"))
        original = images.path.joinpath(*image)
        named = (
            path.suffix in IMAGE_SUFFIXES
            or _is_file(path.with_name(path.name + Sidecar.TORRENT))
            or (original.is_dir() and images._is_directory_image(original))
        )
        return named and _holds_more_than_a_manifest(path)


def _holds_more_than_a_manifest(path: Path) -> bool:
    try:
        with os.scandir(path) as entries:
            return any(entry.name != MANIFEST for entry in entries)
    except OSError:  # whoever publishes it will say why
        return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that we may not read holds nothing for us
        return False
