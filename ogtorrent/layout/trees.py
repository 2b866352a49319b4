"""Which tree an administrator means."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import AnotherTree, BadName, UnknownRoot
from ogtorrent.layout.root import Layer, Layout, Mirror, Root
from ogtorrent.words import words


@dataclass(frozen=True)
class Tree:
    """A repository: its images and, in the current layout, what groups and clients lay over them."""

    images: Root

    @property
    def top(self) -> Path:
        """`/opt/opengnsys/repo` of the current layout; of any other, the image root itself."""
        return self.images.path.parent if self.images.mirror.layout is Layout.CURRENT else self.images.path

    @property
    def layers(self) -> tuple[Root, ...]:
        """The roots of groups and clients, whether they stand or not; the other layouts have none."""
        if self.images.mirror.layout is not Layout.CURRENT:
            return ()
        return tuple(Root(self.top / layer, Mirror(Layout.CURRENT, layer)) for layer in Layer)

    @property
    def home(self) -> Path:
        """What ogtorrent itself keeps with a repository, such as the inventory of groups and clients."""
        return self.top / ".ogtorrent"


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


def planned(path: Path, layout: Layout, package: str = "") -> Tree:
    """The tree of a layout that an administrator wants at `path`; nothing is looked at. Raises AnotherTree.

    It is one that `recognise(path)` finds again as what it is.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100
    match layout:
        case Layout.CURRENT:
            if path.name == "opengnsys":
                path /= "repo"
            if path.name == "hdimages" or path.parts[-2:] == ("opengnsys", "images"):
                raise AnotherTree(path, words("that is the place of another layout"))
            top = path.parent if path.parts[-3:] == ("opengnsys", "repo", "images") else path
            return Tree(Root(top / "images", Mirror(layout, "images")))
        case Layout.LEGACY:
            path = path / "images" if path.name == "opengnsys" else path
            if path.parts[-2:] != ("opengnsys", "images"):
                raise AnotherTree(path, words("a tree of the legacy layout ends in opengnsys/images"))
            return Tree(Root(path, Mirror(layout, "images")))
        case Layout.EAC:
            if path.name == "hdimages":
                path = path.parent
            elif package and path.name != package:
                path /= package
            if package and path.name != package:
                raise AnotherTree(
                    path, words("it is the folder of another package than {name}", name=package)
                )
            return Tree(Root(path / "hdimages", Mirror(layout, "hdimages", path.name)))
        case Layout.BARE:
            return Tree(_root(path, layout))


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
    if parts[-2:] == ("opengnsys", "repo"):  # without its images yet, or while it is being made
        raise UnknownRoot(
            str(path / "images"), words("Make the tree: ogtorrent repo init {path}.", path=path)
        )
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
        if above.parts[-3:-1] == ("opengnsys", "repo") and above.name in list(Layer):
            return Root(above, Mirror(Layout.CURRENT, above.name))
        if above.name == "hdimages":
            return _recognised(above)
    return _root(image.parent, Layout.BARE)


def expected(path: Path | None) -> Root:
    """The repository's image root as a PC mounts it; nothing of it need stand yet. Raises UnknownRoot.

    `path` as for `recognise`; without one OpenGnsys's current tree if its folder stands, else the legacy.
    """
    if path is None:
        current = Path("/opt/opengnsys/repo")
        path = current if current.is_dir() else Path("/opt/opengnsys/images")
    path = Path(os.path.abspath(path))  # noqa: PTH100
    return _recognised(path / "images" if path.parts[-2:] == ("opengnsys", "repo") else path)


def default_root() -> Root:
    """The tree of OpenGnsys on this machine, the current layout first. Raises UnknownRoot."""
    candidates = [Path("/opt/opengnsys/repo/images"), Path("/opt/opengnsys/images")]
    candidates += sorted(Path("/var/opt").glob("*/hdimages"))
    for candidate in candidates:
        if candidate.is_dir():
            return recognise(candidate)
    raise UnknownRoot(
        words("any of OpenGnsys's places"),
        words("Name the folder that holds your images; --help says how."),
    )
