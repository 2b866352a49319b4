"""Images as OpenGnsys's repository describes them (`repository.php`, over the list of `checkrepo`)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ogtorrent.layout import Layout, Root
from ogtorrent.repository.images import is_locked
from ogtorrent.repository.opengnsys.origin import Origin, key, known_origins, origin
from ogtorrent.repository.publisher import Entry

Described = dict[str, Any]


def repository(root: Root, entries: Iterable[Entry], repoinfo: Path) -> Described | None:
    """All images, those below a directory apart, and the disk; None where the root is gone."""
    try:
        disk = shutil.disk_usage(root.path)
    except OSError:
        return None
    images: list[Described] = []
    units: dict[str, list[Described]] = {}
    for unit, described in _described(root, entries, repoinfo):
        if unit:
            # Of an image in a directory it never looks for a backup here.
            described["backedup"] = False
            described.pop("backupsize", None)
            units.setdefault(unit, []).append(described)
        else:
            images.append(described)
    return {
        "directory": str(root.path),
        "images": images,
        "ous": [{"subdir": unit, "images": found} for unit, found in units.items()],
        "disk": {"total": disk.total, "free": disk.free},
    }


def named(root: Root, entries: Iterable[Entry], repoinfo: Path, unit: str, name: str) -> Described | None:
    """The image of a name without its suffix, in the root or in a directory of it."""
    found = (
        described
        for place, described in _described(root, entries, repoinfo)
        if (place, described["name"]) == (unit, name)
    )
    return next(found, None)


def _described(root: Root, entries: Iterable[Entry], repoinfo: Path) -> list[tuple[str, Described]]:
    """Each image that stands, and the directory that it is in, in the order of their names."""
    of_opengnsys = root.mirror.layout in (Layout.CURRENT, Layout.LEGACY)
    known = known_origins(repoinfo) if of_opengnsys else {}
    described = []
    for entry in sorted(entries, key=lambda entry: entry.image):
        try:
            described.append((key(root, entry.image)[0], _image(root, entry, known)))
        except OSError:  # gone since
            continue
    return described


def _image(root: Root, entry: Entry, known: Mapping[tuple[str, str, str], Origin]) -> Described:
    """Raises OSError where it does not stand."""
    path = root.image(entry.image)
    status = path.stat()
    _, name, type_ = key(root, entry.image)
    described = {
        "name": name,
        "type": type_,
        **asdict(origin(root, entry.image, known)),
        # It would tell of a directory what the directory itself takes, which is of no use to anybody.
        "size": entry.size if path.is_dir() else status.st_size,
        "modified": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.st_mtime)),
        "mode": f"{status.st_mode & 0o7777:04o}",
    }
    backup = root.backup(entry.image)
    described["backedup"] = backup.exists()
    if described["backedup"]:
        described["backupsize"] = backup.stat().st_size
    return described | {"locked": is_locked(root, entry.image)}
