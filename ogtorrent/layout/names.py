"""What images and their sidecars may be called."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ogtorrent.errors import BadName
from ogtorrent.words import words

IMAGE_SUFFIXES = (".img", ".pgz", ".diff", ".dsk")  # what OpenGnsys calls an image
CLONEZILLA_MARK = "clonezilla-img"  # Clonezilla leaves this file in every directory image
UNFINISHED_SUFFIXES = (".part", ".tmp", ".temp", ".partial", ".filepart", ".crdownload", ".aria2", "~")
NOT_IMAGES = ("lost+found",)
# What BitTorrent cannot carry of an overlay stands in this file of it.
MANIFEST = ".ogtorrent-overlay"
# A name must leave room for `.` before it and the longest sidecar after it (ext4: 255 bytes).
LONGEST_NAME = 230


class Sidecar(StrEnum):
    """A file beside an image that describes it."""

    TORRENT = ".torrent"
    TAIL_SUM = ".sum"  # MD5 of the last MiB
    FULL_SUM = ".full.sum"  # MD5 of all
    LOCK = ".lock"  # stands while somebody writes
    MULTICAST = ".mcast"
    ORIGIN = ".info"  # which PC it was made of and how, as `ogCreateImage` notes it


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


def speakable(name: str) -> bool:
    try:
        checked_component(name)
    except BadName:
        return False
    return True
