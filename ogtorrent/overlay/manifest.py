"""The manifest of an overlay: what BitTorrent does not carry of its files (BEP 3 has names and bytes alone).

It is a file of the overlay, and so of its torrent: the pieces vouch for it as for any other, every client
carries it, and what is laid over is what was published. JSON, one entry for every path below the overlay:

    {"ogtorrent overlay": 1, "entries": [
      {"path": "etc", "kind": "directory", "mode": 493, "uid": 0, "gid": 0, "mtime": 1790000000123456789},
      {"path": "etc/hosts", "kind": "file", "mode": 420, ..., "size": 120, "xattrs": {"user.x": "YQ=="}},
      {"path": "etc/hosts.copy", "kind": "hard link", "target": "etc/hosts"},
      {"path": "etc/mtab", "kind": "link", ..., "target": "/proc/mounts"}]}

Owners are numbers, as the file system that it is laid over has them; times are nanoseconds; the values of
extended attributes are in base64. The top has no entry: the top of the file system is not the overlay's.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ogtorrent.errors import CorruptImage
from ogtorrent.layout import MANIFEST
from ogtorrent.words import words

VERSION = 1
LARGEST = 64 * 1024 * 1024  # bytes
MOST_ENTRIES = 200_000
LARGEST_VALUE = 64 * 1024  # bytes of an extended attribute; the kernel's own limit
LONGEST_PATH = 4095  # bytes; the kernel's own limit
LAYING = ".ogtorrent-laying"  # a file on its way into its directory; no overlay has such a name

# Those that mean the same on every machine. SELinux's labels follow the policy of the system that is
# restored, and `trusted.*` is between a kernel and its file system.
_KEPT_XATTRS = ("system.posix_acl_access", "system.posix_acl_default", "security.capability")


class Kind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    HARD_LINK = "hard link"  # another name of a file of this overlay


@dataclass(frozen=True)
class Entry:
    """A path of an overlay. Of a hard link only path and target count: all else is its file's."""

    path: str
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0  # nanoseconds
    size: int = 0  # bytes of a file
    target: str = ""  # of a link, as it is written; of a hard link, the file's path
    xattrs: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.path.split("/"))


def is_kept(xattr: str) -> bool:
    """Whether an extended attribute of that name is part of an overlay."""
    return xattr.startswith("user.") or xattr in _KEPT_XATTRS


def encode(entries: Iterable[Entry]) -> bytes:
    """The same bytes for the same entries, and never none."""
    told = [_fields(entry) for entry in sorted(entries, key=lambda entry: entry.parts)]
    return json.dumps({"ogtorrent overlay": VERSION, "entries": told}, ensure_ascii=False).encode() + b"\n"


def _fields(entry: Entry) -> dict[str, Any]:
    fields: dict[str, Any] = {"path": entry.path, "kind": str(entry.kind)}
    if entry.kind is not Kind.HARD_LINK:
        fields |= {"mode": entry.mode, "uid": entry.uid, "gid": entry.gid, "mtime": entry.mtime}
    if entry.kind is Kind.FILE:
        fields["size"] = entry.size
    if entry.target:
        fields["target"] = entry.target
    if entry.xattrs:
        values = sorted(entry.xattrs.items())
        fields["xattrs"] = {name: base64.b64encode(value).decode() for name, value in values}
    return fields


class _Refused(Exception):
    pass


def decode(raw: bytes, overlay: str) -> tuple[Entry, ...]:
    """The entries, each after its directory. `overlay` is for the message. Raises CorruptImage."""
    try:
        return _decoded(raw)
    except _Refused as refusal:
        raise CorruptImage(
            overlay,
            words("its manifest is refused, {why}", why=refusal),
            words("Publish the overlay anew on the repository."),
        ) from None


def _decoded(raw: bytes) -> tuple[Entry, ...]:
    if len(raw) > LARGEST:
        raise _Refused(words("it is larger than {bytes} bytes", bytes=LARGEST))
    try:
        whole = json.loads(raw)
    except (ValueError, RecursionError):
        raise _Refused(words("it is no JSON")) from None
    if not isinstance(whole, dict) or whole.get("ogtorrent overlay") != VERSION:
        raise _Refused(words("it is of no version that is known here"))
    told = whole.get("entries")
    if not isinstance(told, list) or len(told) > MOST_ENTRIES:
        raise _Refused(words("it has no list of entries, or one too long"))
    known: dict[str, Entry] = {}
    for fields in told:
        entry = _entry(fields)
        _check_place(entry, known)
        known[entry.path] = entry
    return tuple(known.values())


def _entry(fields: Any) -> Entry:
    if not isinstance(fields, dict):
        raise _Refused(words("an entry of it is none"))
    path = _path(fields.get("path"))
    if fields.get("kind") not in list(Kind):
        raise _Refused(words("{path!r} is of a kind that is none", path=path[:80]))
    kind = Kind(fields["kind"])
    if kind is Kind.HARD_LINK:
        return Entry(path, kind, target=_path(fields.get("target")))
    return Entry(
        path,
        kind,
        _number(fields, "mode", 0, 0o7777),
        _number(fields, "uid", 0, 2**32 - 2),
        _number(fields, "gid", 0, 2**32 - 2),
        _number(fields, "mtime", -(2**63), 2**63 - 1),
        _number(fields, "size", 0, 2**63 - 1) if kind is Kind.FILE else 0,
        _link(fields.get("target")) if kind is Kind.LINK else "",
        _xattrs(fields.get("xattrs", {})) if kind is not Kind.LINK else MappingProxyType({}),
    )


def _check_place(entry: Entry, known: Mapping[str, Entry]) -> None:
    """What is below anything but a directory of the overlay itself could be led elsewhere."""
    if entry.path in known:
        raise _Refused(words("{path!r} stands in it twice", path=entry.path[:80]))
    above, slash, _ = entry.path.rpartition("/")
    if slash and (above not in known or known[above].kind is not Kind.DIRECTORY):
        raise _Refused(words("{path!r} is in no directory of it", path=entry.path[:80]))
    if entry.kind is Kind.HARD_LINK:
        file = known.get(entry.target)
        if file is None or file.kind is not Kind.FILE:
            raise _Refused(words("{path!r} is a second name of nothing", path=entry.path[:80]))


def _path(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(_encoded(value)) <= LONGEST_PATH:
        raise _Refused(words("a path in it is none"))
    for part in value.split("/"):
        if part in ("", ".", "..", LAYING) or "\0" in part or len(part.encode()) > 255:
            raise _Refused(words("{path!r} is no path below an overlay", path=value[:80]))
    if value == MANIFEST:
        raise _Refused(words("{path!r} is no path below an overlay", path=value))
    return value


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _Refused(words("a name in it is not UTF-8")) from None


def _link(value: Any) -> str:
    """Where a link leads may be anything: nothing of ours follows it out of the file system."""
    if not isinstance(value, str) or not 0 < len(_encoded(value)) <= LONGEST_PATH or "\0" in value:
        raise _Refused(words("a link in it leads nowhere"))
    return value


def _number(fields: Mapping[str, Any], key: str, least: int, most: int) -> int:
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _Refused(words("a {field} in it is absurd", field=key))
    return value


def _xattrs(value: Any) -> Mapping[str, bytes]:
    if not isinstance(value, dict):
        raise _Refused(words("extended attributes in it are none"))
    kept = {}
    for name, text in value.items():
        if not is_kept(name) or len(_encoded(name)) > 255 or "\0" in name or not isinstance(text, str):
            raise _Refused(words("the extended attribute {name!r} is none of an overlay's", name=name[:80]))
        try:
            kept[name] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise _Refused(words("extended attributes in it are none")) from None
        if len(kept[name]) > LARGEST_VALUE:
            raise _Refused(words("extended attributes in it are none"))
    return MappingProxyType(kept)
