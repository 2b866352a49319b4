"""Publishing: an image becomes an image with its sidecars, `.torrent` last."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import BadName, HostileMetainfo, ImageLocked, NotWritable, UnfitImage
from ogtorrent.files import remove_cut, write_whole
from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.overlay.gather import gather
from ogtorrent.overlay.manifest import Kind, encode
from ogtorrent.repository import sessions
from ogtorrent.repository.hashing import Progress, hash_files
from ogtorrent.repository.writers import is_open_for_writing
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import File, Metainfo, Stamp
from ogtorrent.swarm.sidecars import metainfo_of, write_sidecars
from ogtorrent.words import words


@dataclass(frozen=True)
class Contents:
    """The files of an image as they stand on disk: what has to change for it to be another image."""

    files: tuple[File, ...]
    paths: tuple[Path, ...]
    mtimes: tuple[int, ...]
    manifest: bytes = b""  # of an overlay, as it should be

    @property
    def size(self) -> int:
        return sum(file.length for file in self.files)


def contents(root: Root, image: ImagePath) -> Contents:
    """What stands at an image now. Raises UnfitImage, or FileNotFoundError where it is gone."""
    path = root.image(image)
    manifest = b""
    if root.layer is not None:
        paths, manifest = _overlay(root, image)
    else:
        paths = [path] if not path.is_dir() else _files_below(image, path)
    files, mtimes = [], []
    for file in paths:
        status = file.stat()
        if not _may_lead(file.lstat(), status):
            raise UnfitImage(
                root.called(image),
                words("it is a link to a file of somebody else"),
                words("Let the file's owner or root make the link."),
            )
        if not stat.S_ISREG(status.st_mode):
            raise UnfitImage(
                root.called(image), words("{file!r} is no regular file", file=file.name), words("Remove it.")
            )
        parts = (*image.parts, *file.relative_to(path).parts)
        try:
            "/".join(parts).encode()
        except UnicodeEncodeError:
            name = os.fsencode(file.name)
            raise UnfitImage(
                root.called(image), words("the name {name!r} is not UTF-8", name=name), words("Rename it.")
            ) from None
        files.append(File(parts, status.st_size))
        mtimes.append(status.st_mtime_ns)
    found = Contents(tuple(files), tuple(paths), tuple(mtimes), manifest)
    if found.size == 0 and not manifest:
        raise UnfitImage(root.called(image), words("it is empty"), words("Write it anew, or remove it."))
    return found


def _may_lead(link: os.stat_result, file: os.stat_result) -> bool:
    """Who may write among the images is not to have any file published that the server can read."""
    return not stat.S_ISLNK(link.st_mode) or link.st_uid in (0, os.geteuid(), file.st_uid)


def _files_below(image: ImagePath, top: Path) -> list[Path]:
    found = []
    for directory, folders, names in os.walk(top):
        here = Path(directory)
        for name in (*folders, *names):
            if (here / name).is_symlink():
                raise UnfitImage(
                    str(image),
                    words(
                        "it holds the symbolic link {link!r}, which other BitTorrent clients cannot carry",
                        link=str((here / name).relative_to(top)),
                    ),
                    words("Pack the directory into one file."),
                )
        found += [here / name for name in names]
    return sorted(found)


def _overlay(root: Root, image: ImagePath) -> tuple[list[Path], bytes]:
    """The files that its torrent has, and its manifest, which is one of them where it is as it should be."""
    path = root.image(image)
    if len(image.parts) < 2 or not path.is_dir():
        raise UnfitImage(
            root.called(image),
            words("an overlay is a directory, {layer}/NAME/IMAGE", layer=root.mirror.name),
            words("Put it there."),
        )
    entries = gather(path, root.called(image))
    paths = [path / entry.path for entry in entries if entry.kind is Kind.FILE]
    manifest = encode(entries)
    written = root.manifest(image)
    if written.is_file() and written.read_bytes() == manifest:
        paths.append(written)
    return sorted(paths), manifest


def stands(root: Root, published: Metainfo) -> bool:
    """Whether an image is still what its metainfo describes; nothing is read, only looked at."""
    if not published.describes(root.image(published.image)):
        return False
    if not published.is_directory:
        return True
    try:  # a file that was added makes it another image too
        return contents(root, published.image).files == published.files
    except (OSError, UnfitImage):
        return False


def standing(root: Root, image: ImagePath) -> Metainfo | None:
    """The metainfo beside an image, where it is ours and still describes the image."""
    written = metainfo_of(root, image)
    return written if written is not None and stands(root, written) else None


def publish(
    root: Root, image: ImagePath, trackers: Sequence[str], progress: Progress, single: bool = False
) -> Metainfo:
    """Hash an image and write its sidecars. Blocks for the time of one read.

    `single`: in the form that OpenGnsys's seats can save, where the image is one file.

    Raises UnfitImage, ImageLocked (also where the image changed under the read), NotWritable.
    """
    if root.sidecar(image, Sidecar.LOCK).exists():
        raise ImageLocked(
            root.called(image), words("{lock} stands beside it", lock=image.name + Sidecar.LOCK)
        )
    if root.layer is not None:
        _write_manifest(root, image)
    published = hashed(root, image, trackers, progress, single)
    sessions.keep(root, [image])
    write_sidecars(root, published)
    return published


def hashed(
    root: Root, image: ImagePath, trackers: Sequence[str], progress: Progress, single: bool = False
) -> Metainfo:
    """The metainfo of an image as it stands; nothing is written. Blocks for the time of one read.

    Raises UnfitImage, ImageLocked where somebody writes or has written meanwhile.
    """
    try:
        before = contents(root, image)
        if any(is_open_for_writing(path) for path in before.paths):
            raise ImageLocked(root.called(image), words("somebody has it open for writing"))
        length = metainfo.piece_length(before.size)
        digests = hash_files(before.paths, length, progress)
        after = contents(root, image)
    except OSError as error:
        raise _unreadable(root, image, error) from error
    if before != after:
        raise ImageLocked(root.called(image), words("it changed while it was read"))
    stamp = Stamp(before.mtimes, digests.tail_sum, digests.full_sum)
    return metainfo.encode(
        root.mirror.name, image, before.files, length, digests.pieces, stamp, trackers, single
    )


def _write_manifest(root: Root, image: ImagePath) -> None:
    """Raises UnfitImage, NotWritable."""
    try:
        remove_cut(root.manifest(image))
        found = contents(root, image)
    except OSError as error:
        raise _unreadable(root, image, error) from error
    if found.manifest and root.manifest(image) not in found.paths:
        write_whole(root.manifest(image), found.manifest)


def _unreadable(root: Root, image: ImagePath, error: OSError) -> UnfitImage:
    return UnfitImage(
        root.called(image),
        f"{error.filename or image.name}: {error.strerror}",
        words("Check the disk and the file's mode."),
    )


def withdraw(root: Root, image: ImagePath) -> None:
    """Take back the sidecars that publishing wrote, `.torrent` first; others' stay. Raises NotWritable."""
    torrent = root.sidecar(image, Sidecar.TORRENT)
    try:
        if metainfo.read(torrent).stamp is None:
            return
        for kind in (Sidecar.TORRENT, Sidecar.TAIL_SUM, Sidecar.FULL_SUM):
            root.sidecar(image, kind).unlink(missing_ok=True)
        if not root.image(image).exists():  # else it is the session of the version to come, too
            root.sidecar(image, Sidecar.MULTICAST).unlink(missing_ok=True)
    except (FileNotFoundError, HostileMetainfo):
        return
    except OSError as error:
        raise NotWritable.of(torrent, error) from error


def image_at(path: Path, root: Root) -> ImagePath:
    """The image that an administrator names by its path. Raises UnfitImage."""
    try:
        image = root.locate(path)
    except BadName as error:
        raise UnfitImage(
            str(path), str(error).removesuffix("."), words("Rename it or name its root.")
        ) from error
    if not path.exists():
        raise UnfitImage(str(image), words("nothing stands at {path}", path=path), words("Check the path."))
    return image
