"""Where every image, sidecar and partial download lives: the only joiner of paths.

Three OpenGnsys trees and the bare folder, on the repository and, mirrored, on a cache:

    layout    image root on the repository        the same root on a cache
    current   /opt/opengnsys/repo/images          $CACHE/opt/opengnsys/repo/images
    legacy    /opt/opengnsys/images               $CACHE/opt/opengnsys/images
    eac       /var/opt/PACKAGE/hdimages           $CACHE/var/opt/PACKAGE/hdimages
    bare      any folder, say /srv/images         $CACHE/images
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from ogtorrent.errors import BadName, UnknownRoot
from ogtorrent.words import words

IMAGE_SUFFIXES = (".img", ".pgz", ".diff", ".dsk")  # what OpenGnsys calls an image
CLONEZILLA_MARK = "clonezilla-img"  # Clonezilla leaves this file in every directory image
UNFINISHED_SUFFIXES = (".part", ".tmp", ".temp", ".partial", ".filepart", ".crdownload", ".aria2", "~")
NOT_IMAGES = ("lost+found",)
PREVIOUS = ".previous"  # the folder of the versions before, one beside each folder of images
# A name must leave room for `.` before it and the longest sidecar after it (ext4: 255 bytes).
LONGEST_NAME = 230


class Sidecar(StrEnum):
    """A file beside an image that describes it."""

    TORRENT = ".torrent"
    TAIL_SUM = ".sum"  # MD5 of the last MiB
    FULL_SUM = ".full.sum"  # MD5 of all
    LOCK = ".lock"  # stands while somebody writes
    MULTICAST = ".mcast"


_PREVIOUS_ENDINGS = (Sidecar.TORRENT, f"{Sidecar.TORRENT}.leaving")


class Layout(StrEnum):
    BARE = "bare"
    CURRENT = "current"
    LEGACY = "legacy"
    EAC = "eac"


def checked_component(component: str) -> str:
    """One directory or file name, if it may be used as one. Raises BadName."""
    if component in ("", ".", ".."):
        raise BadName(component, words("'.', '..' and empty names are no names"))
    if "/" in component or "\\" in component:
        raise BadName(component, words("a name holds no slash"))
    if component.startswith("."):
        raise BadName(component, words("names that begin with a dot are kept for unfinished files"))
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in component):
        raise BadName(component, words("it holds control characters"))
    try:
        length = len(component.encode())
    except UnicodeEncodeError:
        raise BadName(component, words("it is not valid UTF-8; rename it")) from None
    if length > LONGEST_NAME:
        raise BadName(
            component[:40] + "...",
            words("it is {length} bytes long, {longest} are allowed", length=length, longest=LONGEST_NAME),
        )
    return component


@dataclass(frozen=True, order=True)
class ImagePath:
    """An image's place below the image root: organisational units, then the image's own name."""

    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise BadName("", words("it is empty"))
        for part in self.parts:
            checked_component(part)
        if self.name.endswith(tuple(Sidecar)):
            raise BadName(self.name, words("that is the name of a sidecar, not of an image"))

    @classmethod
    def of(cls, subdirectory: str, image: str) -> ImagePath:
        """From the arguments of updateCache; the subdirectory may be `/` and begin with one."""
        if image.startswith("/"):
            raise BadName(image, words("it is an absolute path; give the path below the repository's images"))
        units = [part for part in subdirectory.split("/") if part]
        return cls((*units, *image.split("/")))

    @classmethod
    def parse(cls, text: str) -> ImagePath:
        return cls(tuple(text.split("/")))

    @property
    def name(self) -> str:
        return self.parts[-1]

    def __str__(self) -> str:
        return "/".join(self.parts)


@dataclass(frozen=True)
class Mirror:
    """Which tree a root belongs to; with it a cache rebuilds the repository's path under itself."""

    layout: Layout
    name: str  # the root's own directory name, the metainfo's `name`
    package: str = ""  # of the EAC layout

    def __post_init__(self) -> None:
        checked_component(self.name)
        if self.layout is Layout.EAC:
            checked_component(self.package)

    @property
    def path(self) -> PurePosixPath:
        """The root's path below `/` on a repository and below `$CACHE` on a PC."""
        match self.layout:
            case Layout.CURRENT:
                return PurePosixPath("opt/opengnsys/repo/images")
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

    def image(self, image: ImagePath) -> Path:
        return self.path.joinpath(*image.parts)

    def sidecar(self, image: ImagePath, kind: Sidecar) -> Path:
        return self.path.joinpath(*image.parts[:-1], image.name + kind)

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

    def hidden(self) -> Iterator[ImagePath]:
        """Every image of which a previous version or an unfinished download is there."""
        for directory, folders, files in os.walk(self.path):
            here, names = Path(directory), set()
            if PREVIOUS in folders:
                names = {path.name for path in (here / PREVIOUS).iterdir() if _speakable(path.name)}
                names -= {name + ending for name in names for ending in _PREVIOUS_ENDINGS}
            hidden = (name for name in (*folders, *files) if name.startswith(".") and name.endswith(".part"))
            names |= {name[1:].removesuffix(".part") for name in hidden}
            folders[:] = sorted(name for name in folders if _speakable(name))
            for name in sorted(names):
                try:
                    yield self.locate(here / name)
                except BadName:
                    continue

    def record(self, image: ImagePath) -> Path:
        """Which bytes of that download the disk is known to hold."""
        return self.partial(image).with_suffix(".safe")

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
                name for name in folders if name not in images and _speakable(name) and name not in NOT_IMAGES
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
            folders[:] = sorted(name for name in folders if _speakable(name))
            for name in sorted(files):
                # `x.sum.torrent` is somebody's, but no sidecar of an image.
                stem = name.removesuffix(Sidecar.TORRENT)
                if stem != name and _speakable(name) and not stem.endswith(tuple(Sidecar)):
                    yield Path(directory, name)

    def _is_file_image(self, path: Path) -> bool:
        if not _speakable(path.name) or path.name.endswith((*Sidecar, *UNFINISHED_SUFFIXES)):
            return False
        return self.mirror.layout is Layout.BARE or path.suffix in IMAGE_SUFFIXES

    def _is_directory_image(self, path: Path) -> bool:
        """A directory is an image by its suffix, by Clonezilla's mark, or once it was published."""
        if not _speakable(path.name) or path.name in NOT_IMAGES or path.name.endswith(tuple(Sidecar)):
            return False
        return (
            path.suffix in IMAGE_SUFFIXES
            or _is_file(path / CLONEZILLA_MARK)
            or _is_file(path.with_name(path.name + Sidecar.TORRENT))
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that we may not read holds nothing for us
        return False


def _speakable(name: str) -> bool:
    try:
        checked_component(name)
    except BadName:
        return False
    return True


def cache_root(cache: Path, mirror: Mirror) -> Root:
    return Root(cache.joinpath(*mirror.path.parts), mirror)


def cache_roots(cache: Path) -> Iterator[Root]:
    """Every image root that a cache holds."""
    known = [Mirror(Layout.CURRENT, "images"), Mirror(Layout.LEGACY, "images")]
    known += [
        Mirror(Layout.EAC, "hdimages", path.parent.name)
        for path in sorted(cache.glob("var/opt/*/hdimages"))
        if _speakable(path.parent.name)
    ]
    systems = {"opt", "var"}  # those lead to the trees above
    known += [
        Mirror(Layout.BARE, path.name)
        for path in sorted(cache.iterdir())
        if path.is_dir() and _speakable(path.name) and path.name not in systems
    ]
    for mirror in known:
        root = cache_root(cache, mirror)
        if root.path.is_dir():
            yield root


def name_in(cache: Path, place: Path) -> str:
    """How records and the seeder of a cache call what stands there."""
    return str(place.relative_to(cache))


def seeder_home(cache: Path) -> Path:
    """What ogtorrent itself keeps in a cache, such as its seeder's log."""
    return cache / ".ogtorrent"


def seeder_place(cache: Path) -> Path:
    """Where the seeder process of a cache has its lock and socket. Raises OSError.

    An open file keeps a disk from being unmounted, so they are not on one that is the cache as a whole;
    unless others than root may use it, who could not write anywhere else.
    """
    status = cache.stat()
    if cache.is_mount() and status.st_uid == 0 and not status.st_mode & 0o022:
        return Path("/run/ogtorrent", f"{status.st_dev:x}-{status.st_ino:x}")
    return seeder_home(cache)


def records_file(cache: Path) -> Path:
    """Where a cache keeps its pins, and when each image was used last."""
    return seeder_home(cache) / "records.json"


def recognise(path: Path, layout: Layout | None = None) -> Root:
    """The image root at or below `path`, as an administrator names it. Raises UnknownRoot.

    `path` may be the root itself or a directory above it (`/opt/opengnsys/repo`,
    `/opt/opengnsys`, `/var/opt/PACKAGE`). A tree may stand anywhere, as on a mounted disk:
    what counts is how the path ends and what it holds.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a link to its real name
    if not path.is_dir():
        raise UnknownRoot(str(path), words("Make the folder or name another one."))
    if layout is None:
        return _recognised(path)
    match layout:
        case Layout.BARE:
            return _root(path, layout)
        case Layout.EAC:
            return _root(path / "hdimages" if (path / "hdimages").is_dir() else path, layout)
        case Layout.CURRENT | Layout.LEGACY:
            return _root(path / "images" if (path / "images").is_dir() else path, layout)


def _recognised(path: Path) -> Root:
    parts = path.parts
    if parts[-3:] == ("opengnsys", "repo", "images"):
        return _root(path, Layout.CURRENT)
    if parts[-2:] == ("opengnsys", "images"):
        return _root(path, Layout.LEGACY)
    if parts[-1] == "hdimages":
        return _root(path, Layout.EAC)
    if (path / "images").is_dir():
        if parts[-2:] == ("opengnsys", "repo") or (path / "groups").is_dir() or (path / "clients").is_dir():
            return _root(path / "images", Layout.CURRENT)
        if parts[-1] == "opengnsys" and not (path / "repo" / "images").is_dir():
            return _root(path / "images", Layout.LEGACY)
    if parts[-1] == "opengnsys" and (path / "repo" / "images").is_dir():
        return _root(path / "repo" / "images", Layout.CURRENT)
    if (path / "hdimages").is_dir():
        return _root(path / "hdimages", Layout.EAC)
    return _root(path, Layout.BARE)


def _root(path: Path, layout: Layout) -> Root:
    name = {Layout.BARE: path.name, Layout.EAC: "hdimages"}.get(layout, "images")
    try:
        return Root(path, Mirror(layout, name, path.parent.name if layout is Layout.EAC else ""))
    except BadName as error:
        raise UnknownRoot(
            str(path), words("{error} Name the folder otherwise, or name another one.", error=error)
        ) from None


def enclosing(image: Path) -> Root:
    """The root of an image that stands in a tree of OpenGnsys; else its own folder, bare."""
    image = Path(os.path.abspath(image))  # noqa: PTH100
    for above in image.parents:
        if above.parts[-2:] == ("opengnsys", "images") or above.parts[-3:] == ("opengnsys", "repo", "images"):
            return _recognised(above)
        if above.name == "hdimages":
            return _recognised(above)
    return _root(image.parent, Layout.BARE)


def default_root() -> Root:
    """The tree of OpenGnsys on this machine, the current layout first. Raises UnknownRoot."""
    candidates = [Path("/opt/opengnsys/repo"), Path("/opt/opengnsys/images")]
    candidates += sorted(Path("/var/opt").glob("*/hdimages"))
    for candidate in candidates:
        if candidate.is_dir():
            return recognise(candidate)
    raise UnknownRoot(
        words("any of OpenGnsys's places"),
        words("Name the folder that holds your images: ogtorrent serve FOLDER."),
    )
