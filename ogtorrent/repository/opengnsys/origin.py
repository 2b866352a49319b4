"""Where an image comes from, as OpenGnsys noted when it was made.

A PC writes `image.img.info` (`ogCreateImage`); OpenGnsys's `checkrepo` moves that into `repoinfo.json`. An
image that is a directory has its own `ogimg.info`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from ogtorrent.layout import ImagePath, Root, Sidecar

OPENGNSYS_REPOINFO = Path("/opt/opengnsys/etc/repoinfo.json")

_MOST = 1 << 24  # bytes of `repoinfo.json`
_HEADER = 64  # lines of `ogimg.info` before the list of files
_LINE = 4096  # bytes
_KIBIBYTE = 1024


@dataclass(frozen=True)
class Origin:
    """As `checkrepo` writes it; what nobody noted is empty."""

    clientname: str = ""
    clonator: str = ""
    compressor: str = ""
    filesystem: str = ""
    datasize: int = 0  # bytes of the file system's contents


NOWHERE = Origin()


def origin(root: Root, image: ImagePath, known: Mapping[tuple[str, str, str], Origin]) -> Origin:
    """Of an image that stands; `known` is what `repoinfo.json` says."""
    path = root.image(image)
    try:
        if path.is_dir():
            return _of_directory(path / "ogimg.info")
        return _of_file(path, root.sidecar(image, Sidecar.ORIGIN))
    except (OSError, ValueError):
        return known.get(key(root, image), NOWHERE)


def key(root: Root, image: ImagePath) -> tuple[str, str, str]:
    """What `checkrepo` knows an image by: the directory below the root, name and type."""
    directory = "/".join(image.parts[:-1])
    if root.image(image).is_dir():
        return directory, image.name, "dir"
    name, dot, suffix = image.name.rpartition(".")
    return (directory, name, suffix.lower()) if dot else (directory, image.name, "")


def known_origins(repoinfo: Path) -> dict[tuple[str, str, str], Origin]:
    """What `repoinfo.json` says; empty where there is none that can be read."""
    try:
        with repoinfo.open("rb") as file:
            told = json.loads(file.read(_MOST))
    except (OSError, ValueError, RecursionError):
        return {}
    found = {}
    for directory, entry in _entries(told):
        name, type_ = entry.get("name"), entry.get("type")
        if isinstance(name, str) and isinstance(type_, str):
            found[directory, name, type_] = _checked(entry)
    return found


def _entries(told: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part in _objects([told]):
        for entry in _objects(part.get("images")):
            yield "", entry
        for unit in _objects(part.get("ous")):
            for entry in _objects(unit.get("images")):
                yield str(unit.get("subdir")), entry


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _checked(entry: Mapping[str, Any]) -> Origin:
    """Of its fields those that are of the right type."""

    def text(name: str) -> str:
        value = entry.get(name)
        return value if isinstance(value, str) else ""

    size = entry.get("datasize")
    return Origin(
        text("clientname"),
        text("clonator"),
        text("compressor"),
        text("filesystem"),
        size if type(size) is int else 0,
    )


def _of_file(image: Path, note: Path) -> Origin:
    """`CLONATOR:COMPRESSOR:FILESYSTEM:KIBIBYTES:CLIENT`. Raises FileNotFoundError where it is older."""
    if note.stat().st_mtime_ns < image.stat().st_mtime_ns:
        raise FileNotFoundError(note)
    with note.open(errors="replace") as file:
        noted = file.readline(_LINE).strip().split(":", 4)
    clonator, compressor, filesystem, size, client = (*noted, *[""] * (5 - len(noted)))
    return Origin(client, clonator.lower(), compressor.lower(), filesystem.upper(), _bytes(size))


def _of_directory(note: Path) -> Origin:
    """`# fstype=` and `# sizedata=` of the lines before the first that is no comment."""
    with note.open(errors="replace") as file:
        lines = takewhile(lambda line: line.startswith("#"), iter(lambda: file.readline(_LINE), ""))
        pairs = dict(line.strip().split("=", 1) for line in islice(lines, _HEADER) if "=" in line)
    return Origin(
        clonator="rsync",
        filesystem=pairs.get("# fstype", "").upper(),
        datasize=_bytes(pairs.get("# sizedata", "")),
    )


def _bytes(kibibytes: str) -> int:
    return int(kibibytes) * _KIBIBYTE if kibibytes.isascii() and kibibytes.isdigit() else 0
