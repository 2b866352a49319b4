"""What an overlay on disk is: every path below it, as a manifest tells it."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

from ogtorrent.errors import UnfitImage
from ogtorrent.layout import MANIFEST
from ogtorrent.overlay.manifest import LAYING, LONGEST_PATH, Entry, Kind, is_kept
from ogtorrent.words import words


def gather(top: Path, overlay: str) -> tuple[Entry, ...]:
    """Every path, each after its directory; no byte of a file is read. `overlay` is for the message.

    Raises UnfitImage, or FileNotFoundError where something went meanwhile.
    """
    entries: list[Entry] = []
    firsts: dict[tuple[int, int], str] = {}  # the first name of each file that has several
    pending = [""]
    while pending:
        above = pending.pop()
        for name in sorted(_names(top / above, overlay)):
            path = f"{above}/{name}" if above else name
            if path == MANIFEST:
                continue
            _check_name(name, path, overlay)
            entry = _entry(top, path, overlay, firsts)
            entries.append(entry)
            if entry.kind is Kind.DIRECTORY:
                pending.append(path)
    return _with_first_names(entries)


def _names(directory: Path, overlay: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 - a name need not be UTF-8
    except PermissionError:
        raise _unreadable(directory, overlay) from None


def _check_name(name: str, path: str, overlay: str) -> None:
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise UnfitImage(
            overlay, words("the name {name!r} is not UTF-8", name=os.fsencode(name)), words("Rename it.")
        ) from None
    if name == LAYING or length > LONGEST_PATH:
        raise UnfitImage(
            overlay, words("it may not hold {path!r}", path=path[:200]), words("Remove it, or rename it.")
        )


def _entry(top: Path, path: str, overlay: str, firsts: dict[tuple[int, int], str]) -> Entry:
    place = top / path
    status = place.lstat()
    mode, times = stat.S_IMODE(status.st_mode), status.st_mtime_ns
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFDIR:
            kept = _xattrs(place, overlay)
            return Entry(path, Kind.DIRECTORY, mode, status.st_uid, status.st_gid, times, xattrs=kept)
        case stat.S_IFLNK:
            target = _target(place, overlay)
            return Entry(path, Kind.LINK, 0o777, status.st_uid, status.st_gid, times, target=target)
        case stat.S_IFREG:
            first = firsts.setdefault((status.st_dev, status.st_ino), path) if status.st_nlink > 1 else path
            if first != path:
                return Entry(path, Kind.HARD_LINK, target=first)
            kept = _xattrs(place, overlay)
            return Entry(
                path, Kind.FILE, mode, status.st_uid, status.st_gid, times, status.st_size, xattrs=kept
            )
    raise UnfitImage(
        overlay,
        words("{path!r} is a device, a pipe or a socket", path=path),
        words("Remove it: the system that is restored makes its own."),
    )


def _target(place: Path, overlay: str) -> str:
    target = os.readlink(place)  # noqa: PTH115 - what is written, not what it means
    try:
        target.encode()
    except UnicodeEncodeError:
        raise UnfitImage(
            overlay,
            words("the link {link!r} leads to a name that is not UTF-8", link=place.name),
            words("Make it anew."),
        ) from None
    return target


def _xattrs(place: Path, overlay: str) -> dict[str, bytes]:
    try:
        names = [name for name in os.listxattr(place, follow_symlinks=False) if is_kept(name)]
        return {name: os.getxattr(place, name, follow_symlinks=False) for name in names}
    except PermissionError:
        raise _unreadable(place, overlay) from None
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENODATA):  # ENODATA: taken away since it was listed
            return {}
        raise


def _unreadable(place: Path, overlay: str) -> UnfitImage:
    return UnfitImage(
        overlay, words("{name} cannot be read", name=place.name), words("Let the server's user read it.")
    )


def _with_first_names(entries: list[Entry]) -> tuple[Entry, ...]:
    """In the order of their paths, where a file comes before its other names."""
    ordered = sorted(entries, key=lambda entry: entry.parts)
    renamed: dict[str, str] = {}
    known = {entry.path: entry for entry in ordered}
    told = []
    for entry in ordered:
        file = known[entry.target] if entry.kind is Kind.HARD_LINK else entry
        if file.kind is not Kind.FILE:
            told.append(entry)
        elif file.path in renamed:
            told.append(Entry(entry.path, Kind.HARD_LINK, target=renamed[file.path]))
        else:
            renamed[file.path] = entry.path
            told.append(replace(file, path=entry.path))
    return tuple(told)
