"""Look at a tree for `check`, and mend what it found. A server may be at work there meanwhile."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from ogtorrent.errors import BadName, HostileMetainfo, NotWritable, UnfitImage, UnfitInventory
from ogtorrent.files import remove
from ogtorrent.layout import Root, Sidecar, Tree
from ogtorrent.repository import folders
from ogtorrent.repository.check import (
    Allow,
    Entry,
    KeepInStep,
    Make,
    Mend,
    Own,
    Remove,
    Seen,
    Sight,
    Withdraw,
)
from ogtorrent.repository.inventory import NOTHING
from ogtorrent.repository.kept import Kept
from ogtorrent.repository.publish import contents, standing, withdraw
from ogtorrent.swarm import metainfo

_SUM = re.compile(rb"[0-9a-f]{32}\s*")
_SESSION = re.compile(rb"\d+:(full-duplex|half-duplex|broadcast):\S+\s*")


def look(tree: Tree) -> Sight:
    """One stat a file; of sidecars alone the content is read. Raises OSError."""
    roots = (_images(tree.images), *(_layer(root) for root in tree.layers))
    try:
        return Sight(tree, roots, Kept(tree).read())
    except UnfitInventory as error:
        return Sight(tree, roots, NOTHING, str(error).removesuffix("."))


def mend(how: Mend) -> None:
    """What has mended itself since, or gone, is left alone. Raises NotWritable, UnfitInventory."""
    try:
        match how:
            case Remove(path):
                remove(path)
            case Withdraw(root, image):
                if standing(root, image) is None:
                    withdraw(root, image)
            case Own(path, top):
                of = top.stat()
                os.chown(path, of.st_uid, of.st_gid)
            case Allow(path, more, less):
                # Not through a link that took the place of what was looked at.
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    os.fchmod(descriptor, (stat.S_IMODE(os.fstat(descriptor).st_mode) | more) & ~less)
                finally:
                    os.close(descriptor)
            case Make(path):
                if not path.is_dir():
                    folders.make(path, like=path.parent)
            case KeepInStep(tree):
                Kept(tree).change(lambda _: (), datetime.now())
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotWritable.of(Path(error.filename or "."), error) from error


def _layer(root: Root) -> Seen:
    if not root.path.is_dir():
        return Seen(root, None)
    known = [*map(root.image, root.images()), *filter(_is_ours, root.torrents())]
    return _seen(root, tuple(_entries(root.path, {above for path in known for above in path.parents})))


def _images(root: Root) -> Seen:
    return _seen(root, tuple(_entries(root.path)))


def _seen(root: Root, entries: tuple[Entry, ...]) -> Seen:
    standing_there = {entry.path for entry in entries}
    images = frozenset(image for image in root.images() if root.image(image) in standing_there)
    unfit = {}
    for image in images:
        try:
            contents(root, image)
        except UnfitImage as error:
            unfit[image] = error.why
        except OSError as error:  # unreadable, which is told; or gone since
            unfit[image] = error.strerror or str(error)
    described = frozenset(image for image in images if standing(root, image) is not None)
    top = _entry(root.path, follow=True)
    return Seen(root, top, entries, images, described, unfit, tuple(root.unnameable()))


def _entries(top: Path, ways: Collection[Path] | None = None) -> Iterator[Entry]:
    """All below the top; with `ways`, to overlays, nothing below what is neither one of them nor a holder."""
    device = top.stat().st_dev
    for directory, names, files in os.walk(top):
        below = []
        for name in sorted(names + files):
            path = Path(directory, name)
            try:
                status = path.lstat()
                if status.st_dev != device:
                    continue  # another place, which is mounted here
                yield _entry(path)
            except FileNotFoundError:
                continue
            into = ways is None or path in ways or path.parent == top
            if name in names and into and not name.startswith(".") and name != "lost+found":
                below.append(name)
        names[:] = below


def _entry(path: Path, follow: bool = False) -> Entry:
    status = path.stat() if follow else path.lstat()
    ours = stat.S_ISREG(status.st_mode) and _is_ours(path)
    return Entry(path, status.st_uid, status.st_gid, status.st_mode, status.st_mtime, ours)


def _is_ours(path: Path) -> bool:
    """Whether a sidecar is written as we, or OpenGnsys, write it."""
    try:
        if path.name.endswith(Sidecar.TORRENT):
            return metainfo.read(path).stamp is not None
        if path.name.endswith((Sidecar.TAIL_SUM, Sidecar.MULTICAST)):
            with path.open("rb") as file:
                content = file.read(1024)
            form = _SESSION if path.name.endswith(Sidecar.MULTICAST) else _SUM
            return form.fullmatch(content) is not None
    except (OSError, HostileMetainfo, BadName):
        pass
    return False
