"""What a `.torrent` says: written for our images, read from anybody.

Metainfo is v1 (BEP 3) in its multi-file form: `name` is the image root's own directory name and
every path is relative to that root, so any client that saves into the parent of the root lands
on the same tree. Hybrid metainfo (BEP 52) was tried and left: see docs/metainfo.md.

BEP 3's other form has one file and no path. OpenGnsys's seats want it: their ctorrent saves it as the very
file that updateCache names, and the multi-file form as a directory of that name. Then the stamp says which
image of which root it is.

Beside `info`, where it does not touch the info-hash, stands a stamp of the image: modification
times and MD5 sums from the one read that hashed it. A copy whose sizes and times agree with the
stamp is the image of this metainfo, without reading it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libtorrent as lt

from ogtorrent.errors import BadName, HostileMetainfo
from ogtorrent.layout import ImagePath, checked_component
from ogtorrent.words import words

SMALLEST_PIECE = 16 * 1024
LARGEST_PIECE = 4 * 1024 * 1024
# Every seat passes on only whole pieces, and the last one of each is not passed on any more: with
# N seats and P pieces about N/P of the time is lost, so a room of 30 wants thousands of pieces.
WANTED_PIECES = 2048

LARGEST_TORRENT = 16 * 1024 * 1024  # bytes of a .torrent file that we read
LARGEST_IMAGE = 16 * 1024**4  # bytes; ext4's largest file
MOST_FILES = 200_000
MOST_PIECES = 0x200000  # libtorrent's own limit

STAMP = b"ogtorrent"


@dataclass(frozen=True)
class File:
    """A file of an image: its path relative to the image root and its length in bytes."""

    path: tuple[str, ...]
    length: int


@dataclass(frozen=True)
class Stamp:
    """What the read that hashed an image saw: `mtimes` in nanoseconds, one for each file."""

    mtimes: tuple[int, ...]
    tail_sum: str  # MD5 of the last MiB, in hexadecimal
    full_sum: str  # MD5 of all


@dataclass(frozen=True)
class Metainfo:
    raw: bytes
    info_hash: bytes
    name: str
    image: ImagePath
    files: tuple[File, ...]
    is_directory: bool
    piece_length: int
    trackers: tuple[str, ...]
    stamp: Stamp | None
    is_single: bool = False  # in the form of one file without a path

    @property
    def size(self) -> int:
        return sum(file.length for file in self.files)

    @property
    def pieces(self) -> int:
        return -(-self.size // self.piece_length)

    def length_of(self, piece: int) -> int:
        """Bytes of a piece: the last one may be shorter."""
        return min(self.piece_length, self.size - piece * self.piece_length)

    def hashes(self) -> list[bytes]:
        """The SHA-1 of every piece. Made anew each time: a cache of many images has no room for all."""
        outer: dict[bytes, Any] = _expect(lt.bdecode(self.raw), dict, words("the whole"))
        pieces: bytes = outer[b"info"][b"pieces"]
        return [pieces[start : start + 20] for start in range(0, len(pieces), 20)]

    def within(self, file: File) -> tuple[str, ...]:
        """A file's path below its directory image; empty for an image of one file."""
        return file.path[len(self.image.parts) :]

    def describes(self, image: Path) -> bool:
        """Whether sizes and times on disk agree with the stamp, so that nothing need be read."""
        if self.stamp is None or image.is_dir() is not self.is_directory:
            return False
        for file, mtime in zip(self.files, self.stamp.mtimes, strict=True):
            try:
                status = image.joinpath(*self.within(file)).stat()
            except OSError:
                return False
            if (status.st_size, status.st_mtime_ns) != (file.length, mtime):
                return False
        return True


def piece_length(size: int) -> int:
    """Bytes a piece for an image of `size` bytes: a power of two."""
    length = SMALLEST_PIECE
    while length < LARGEST_PIECE and size > length * WANTED_PIECES:
        length *= 2
    return length


def encode(
    name: str,
    image: ImagePath,
    files: Sequence[File],
    piece_length: int,
    pieces: bytes,
    stamp: Stamp,
    trackers: Sequence[str],
    single: bool = False,
) -> Metainfo:
    """The metainfo of an image whose pieces have been hashed; `pieces` is the SHA-1s in a row.

    `single`: in the form of one file, where the image is one.
    """
    is_directory = files[0].path != image.parts
    hashed = {b"piece length": piece_length, b"pieces": pieces}
    outer: dict[bytes, Any] = {b"created by": b"ogtorrent"}
    if single and not is_directory:
        outer[b"info"] = {**hashed, b"length": files[0].length, b"name": image.name.encode()}
        outer[STAMP] = stamp_fields(stamp, image, False) | {b"root": name.encode()}
    else:
        listed = [{b"length": file.length, b"path": [part.encode() for part in file.path]} for file in files]
        outer[b"info"] = {**hashed, b"files": listed, b"name": name.encode()}
        outer[STAMP] = stamp_fields(stamp, image, is_directory)
    return decode(announced(outer, trackers), str(image))


def stamp_fields(stamp: Stamp, image: ImagePath, is_directory: bool) -> dict[bytes, Any]:
    return {
        # Text, because a reader may hold integers in 32 bits.
        b"mtimes": b" ".join(b"%d" % mtime for mtime in stamp.mtimes),
        b"sum": stamp.tail_sum.encode(),
        b"full.sum": stamp.full_sum.encode(),
        b"image": str(image).encode(),
        b"directory": int(is_directory),
    }


def announced(outer: Mapping[bytes, Any], trackers: Sequence[str]) -> bytes:
    """Bencoded, with these trackers and no others."""
    outer = {key: value for key, value in outer.items() if key not in (b"announce", b"announce-list")}
    if trackers:
        outer[b"announce"] = trackers[0].encode()
    if len(trackers) > 1:
        # One tier each (BEP 12): they are names of one tracker, the first that answers will do.
        outer[b"announce-list"] = [[tracker.encode()] for tracker in trackers]
    return bytes(lt.bencode(outer))


def read(path: Path) -> Metainfo:
    """The metainfo in a file. Raises OSError and HostileMetainfo."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise HostileMetainfo(str(path), words("it is no regular file"))
        raw = file.read(LARGEST_TORRENT + 1)
    return decode(raw, str(path))


def _without_waiting(path: str, flags: int) -> int:
    """For a writer into a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK)


def decode(raw: bytes, source: str) -> Metainfo:
    """Metainfo from untrusted bytes; `source` is for the message. Raises HostileMetainfo.

    Only metainfo of one image is taken: with our stamp, or of a single file.
    """
    if len(raw) > LARGEST_TORRENT:
        raise HostileMetainfo(source, words("it is larger than {bytes} bytes", bytes=LARGEST_TORRENT))
    try:
        outer = lt.bdecode(raw)
    except RuntimeError as error:
        raise HostileMetainfo(source, words("it is not bencoded ({error})", error=error)) from None
    try:
        fields: dict[bytes, Any] = _expect(outer, dict, words("the whole"))
        if lt.bencode(fields) != raw:
            # Else two readers could see two different things in it, and two info-hashes.
            raise _Refused(words("it is not in canonical form (BEP 3)"))
        return _decoded(raw, fields)
    except _Refused as refusal:
        raise HostileMetainfo(source, str(refusal)) from None
    except BadName as error:
        raise HostileMetainfo(
            source, words("a path in it is no path of ours ({error})", error=error)
        ) from None


class _Refused(Exception):
    pass


def _decoded(raw: bytes, outer: dict[bytes, Any]) -> Metainfo:
    info = _expect(outer.get(b"info"), dict, "info")
    name = checked_component(_text(info.get(b"name"), "name"))
    files = _files(info)
    length = _expect(info.get(b"piece length"), int, "piece length")
    if not SMALLEST_PIECE <= length <= 64 * LARGEST_PIECE or length & (length - 1):
        raise _Refused(
            words("its pieces of {length} bytes are no power of two from 16 KiB to 256 MiB", length=length)
        )
    size = sum(file.length for file in files)
    if not 0 < size <= LARGEST_IMAGE:
        raise _Refused(words("its size of {size} bytes is absurd", size=size))
    pieces = _expect(info.get(b"pieces"), bytes, "pieces")
    count = -(-size // length)
    if count > MOST_PIECES or len(pieces) != 20 * count:
        raise _Refused(
            words(
                "{size} bytes are {count} pieces, it has hashes for {hashes:g}",
                size=size,
                count=count,
                hashes=len(pieces) / 20,
            )
        )
    is_single = b"files" not in info
    if is_single and STAMP in outer:
        name, files = _placed(outer[STAMP], files)
    image, is_directory, stamp = _stamp(outer.get(STAMP), files)
    return Metainfo(
        raw,
        hashlib.sha1(lt.bencode(info), usedforsecurity=False).digest(),
        name,
        image,
        files,
        is_directory,
        length,
        _trackers(outer),
        stamp,
        is_single,
    )


def _placed(value: Any, files: tuple[File, ...]) -> tuple[str, tuple[File, ...]]:
    """The root's name and the one file's path, which the form of one file leaves to the stamp."""
    fields = _expect(value, dict, "ogtorrent")
    if b"root" not in fields:
        return files[0].path[0], files
    image = ImagePath.parse(_text(fields.get(b"image"), "ogtorrent.image"))
    if image.parts[-1:] != files[0].path:
        raise _Refused(words("its files are not the image {image!r}", image=str(image)))
    return checked_component(_text(fields[b"root"], "ogtorrent.root")), (File(image.parts, files[0].length),)


def _files(info: Mapping[bytes, Any]) -> tuple[File, ...]:
    if b"files" not in info:
        name = checked_component(_text(info.get(b"name"), "name"))
        return (File((name,), _length(info.get(b"length"))),)
    entries = _expect(info[b"files"], list, "files")
    if not 0 < len(entries) <= MOST_FILES:
        raise _Refused(words("it lists {count} files", count=len(entries)))
    files = []
    for entry in entries:
        fields = _expect(entry, dict, words("a file"))
        if b"symlink path" in fields or b"l" in _expect(fields.get(b"attr", b""), bytes, "attr"):
            raise _Refused(words("it holds a symbolic link"))
        parts = tuple(_text(part, words("a path")) for part in _expect(fields.get(b"path"), list, "path"))
        if not parts:
            raise _Refused(words("a path in it is empty"))
        files.append(File(parts, _length(fields.get(b"length"))))
    paths = {file.path for file in files}
    if len(paths) < len(files):
        raise _Refused(words("a path stands in it twice"))
    if any(path[:depth] in paths for path in paths for depth in range(1, len(path))):
        raise _Refused(words("a path in it is both a file and a directory"))
    return tuple(files)


def _stamp(value: Any, files: tuple[File, ...]) -> tuple[ImagePath, bool, Stamp | None]:
    if value is None:
        if len(files) != 1:
            raise _Refused(words("it holds several files and does not say which image they make"))
        return ImagePath(files[0].path), False, None
    fields = _expect(value, dict, "ogtorrent")
    image = ImagePath.parse(_text(fields.get(b"image"), "ogtorrent.image"))
    is_directory = _expect(fields.get(b"directory"), int, "ogtorrent.directory") != 0
    if is_directory:
        for file in files:
            if file.path[: len(image.parts)] != image.parts or len(file.path) == len(image.parts):
                raise _Refused(
                    words(
                        "the file {file!r} lies outside the image {image!r}",
                        file="/".join(file.path),
                        image=str(image),
                    )
                )
            for part in file.path[len(image.parts) :]:
                _checked_inner(part)
    elif len(files) != 1 or files[0].path != image.parts:
        raise _Refused(words("its files are not the image {image!r}", image=str(image)))
    written = _text(fields.get(b"mtimes"), "ogtorrent.mtimes").split()
    numbers = all(word.isascii() and word.removeprefix("-").isdigit() for word in written)
    if len(written) != len(files) or not numbers:
        raise _Refused(words("its modification times do not fit its files"))
    mtimes = tuple(int(word) for word in written if len(word) < 20)
    if len(mtimes) != len(files) or not all(-(2**63) <= mtime < 2**63 for mtime in mtimes):
        raise _Refused(words("a modification time in it is absurd"))
    return image, is_directory, Stamp(mtimes, _md5(fields, b"sum"), _md5(fields, b"full.sum"))


def _checked_inner(part: str) -> None:
    """Inside a directory image any name is good that cannot lead out of it."""
    if part in ("", ".", "..") or "/" in part or "\0" in part or len(part.encode()) > 255:
        raise _Refused(words("{part!r} is no file name", part=part))


def _trackers(outer: Mapping[bytes, Any]) -> tuple[str, ...]:
    tiers = outer.get(b"announce-list")
    if tiers is None:
        return (_text(outer[b"announce"], "announce"),) if b"announce" in outer else ()
    return tuple(
        _text(tracker, "announce-list")
        for tier in _expect(tiers, list, "announce-list")
        for tracker in _expect(tier, list, "announce-list")
    )


def _md5(fields: Mapping[bytes, Any], key: bytes) -> str:
    text = _text(fields.get(key), f"ogtorrent.{key.decode()}")
    if len(text) != 32 or not all(letter in "0123456789abcdef" for letter in text):
        raise _Refused(words("its {field} is no MD5", field=key.decode()))
    return text


def _length(value: Any) -> int:
    length: int = _expect(value, int, "length")
    if not 0 <= length <= LARGEST_IMAGE:
        raise _Refused(words("a file of {length} bytes is absurd", length=length))
    return length


def _text(value: Any, what: str) -> str:
    try:
        return bytes(_expect(value, bytes, what)).decode()
    except UnicodeDecodeError:
        raise _Refused(words("{what} is not UTF-8", what=what)) from None


def _expect(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise _Refused(words("{what} is missing or of the wrong kind", what=what))
    return value
