"""Our commands take the places of OpenGnsys's, and leave them again.

Each step leaves a command that runs under each name: the original gets a second name first, then our wrapper
takes its first one, and back in one rename. So what was cut is finished, or undone, by running again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ogtorrent.errors import NotWritable, OriginalLost
from ogtorrent.files import remove_cut, sync_directory, write_whole
from ogtorrent.opengnsys.places import Place, is_ours
from ogtorrent.words import words


class Standing(Enum):
    """What stands under a command's name."""

    NOTHING = "nothing"
    OURS = "ours"
    ORIGINAL = "original"


@dataclass(frozen=True)
class Found:
    """A place as it is; the digests are SHA-256, empty where there is nothing."""

    place: Place
    standing: Standing
    content: bytes = b""
    kept: str = ""  # of the original that is kept
    noted: str = ""  # of the original as it was when it was kept
    is_touched: bool = False  # something of ours is beside the command

    @property
    def is_kept_twice(self) -> bool:
        """An installation was cut: the original has both its names."""
        return self.standing is Standing.ORIGINAL and self.kept == digest(self.content)


@dataclass(frozen=True)
class Keep:
    """Give the original its second name, and note what it is."""

    place: Place


@dataclass(frozen=True)
class Put:
    """Our wrapper takes the first name."""

    place: Place
    content: bytes


@dataclass(frozen=True)
class BringBack:
    """The original takes its first name again."""

    place: Place


@dataclass(frozen=True)
class Forget:
    """The original has its first name alone."""

    place: Place


Step = Keep | Put | BringBack | Forget


def look(place: Place) -> Found:
    """Raises NotWritable where it cannot be read, or is no file."""
    try:
        if place.path.is_symlink():
            raise NotWritable(place.path, words("it is a link; what it leads to cannot be kept by its name"))
        content = place.path.read_bytes() if place.path.exists() else None
        kept = digest(place.kept.read_bytes()) if place.kept.exists() else ""
    except OSError as error:
        raise NotWritable.of(place.path, error) from error
    standing = Standing.NOTHING
    if content is not None:
        standing = Standing.OURS if is_ours(content) else Standing.ORIGINAL
    noted = str(_noted(place).get("kept", {}).get(place.name, {}).get("sha256", ""))
    return Found(place, standing, content or b"", kept, noted, place.kept.parent.is_dir())


def plan_install(found: Found, content: bytes) -> list[Step]:
    """An original that OpenGnsys wrote over ours is the newer one, and is kept instead of the other."""
    match found.standing:
        case Standing.ORIGINAL:
            return [Keep(found.place), Put(found.place, content)]
        case Standing.OURS if found.content == content:
            return []
        case Standing.NOTHING if not found.kept:
            return []
        case _:
            return [Put(found.place, content)]


def plan_uninstall(found: Found) -> list[Step]:
    """What is not ours stays. Raises OriginalLost."""
    match found.standing:
        case Standing.ORIGINAL:
            is_another = found.kept and not found.is_kept_twice
            return [Forget(found.place)] if found.is_touched and not is_another else []
        case Standing.NOTHING if not found.kept:
            return [Forget(found.place)] if found.is_touched else []
        case _:
            if not found.kept:
                raise OriginalLost(found.place.path, words("{kept} is gone", kept=found.place.kept))
            if found.kept != found.noted:
                raise OriginalLost(
                    found.place.path,
                    words("{kept} is another file than the one that was kept", kept=found.place.kept),
                )
            return [BringBack(found.place), Forget(found.place)]


def act(step: Step, version: str) -> None:
    """`version`: of OpenGnsys, to be noted. Raises NotWritable."""
    try:
        match step:
            case Keep(place):
                _keep(place, version)
            case Put(place, content):
                remove_cut(place.path)
                write_whole(place.path, content, place.kept.stat())
            case BringBack(place):
                place.kept.replace(place.path)
                sync_directory(place.path.parent)
                sync_directory(place.kept.parent)
            case Forget(place):
                _forget(place)
    except OSError as error:
        raise NotWritable.of(Path(error.filename or step.place.path), error) from error


def _keep(place: Place, version: str) -> None:
    try:
        place.kept.parent.mkdir()
        place.kept.parent.chmod(0o755)  # the PCs must come in, whatever umask this root has
    except FileExistsError:
        pass
    second = _second(place)
    second.unlink(missing_ok=True)
    # A second name of the very same file: its bytes, owner, mode and times are none of our business.
    os.link(place.path, second)
    status = second.stat()
    noted = _noted(place)
    noted.setdefault("kept", {})[place.name] = {
        "opengnsys": version,
        "sha256": digest(second.read_bytes()),
        "size": status.st_size,
        "mode": f"{status.st_mode & 0o7777:04o}",
        "owner": f"{status.st_uid}:{status.st_gid}",
        "mtime_ns": status.st_mtime_ns,
    }
    second.replace(place.kept)
    _note(place, noted)


def _forget(place: Place) -> None:
    remove_cut(place.path)
    remove_cut(place.manifest)
    place.kept.unlink(missing_ok=True)
    _second(place).unlink(missing_ok=True)
    noted = _noted(place)
    mine = noted.get("kept", {}).pop(place.name, None)
    if noted.get("kept"):
        if mine is not None:
            _note(place, noted)
        return
    place.manifest.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody else keeps something there
        place.kept.parent.rmdir()


def _second(place: Place) -> Path:
    """The name that an original has before it is called the kept one."""
    return place.kept.with_name(f".{place.name}.new")


def _noted(place: Place) -> dict[str, Any]:
    try:
        noted = json.loads(place.manifest.read_bytes())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) and isinstance(noted.get("kept"), dict) else {}


def _note(place: Place, noted: dict[str, Any]) -> None:
    remove_cut(place.manifest)
    write_whole(place.manifest, json.dumps(noted, indent=2).encode() + b"\n")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def version(prefix: Path) -> str:
    """Of the OpenGnsys below a prefix, as it says; empty where it does not."""
    try:
        told = json.loads((prefix / "doc" / "VERSION.json").read_bytes())
        return str(told["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        return (prefix / "doc" / "VERSION.txt").read_text(errors="replace").strip()[:200]
    except OSError:
        return ""


def is_there(found: Sequence[Found]) -> bool:
    return any(one.standing is not Standing.NOTHING or one.kept for one in found)
