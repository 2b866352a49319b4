"""Lay overlays over a restored file system: each path in one step, none outside it, again without harm."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ogtorrent.errors import CorruptImage, NoTarget, NotLaid
from ogtorrent.files import exchanged
from ogtorrent.overlay.dress import Lost, dress, dress_link, look, wanted
from ogtorrent.overlay.inside import Inside, open_file, status_of
from ogtorrent.overlay.layers import Laid
from ogtorrent.overlay.manifest import LAYING, Entry, Kind
from ogtorrent.overlay.place import CHUNK, Refused, check_empty, clear, leads, link_look, put, same_bytes
from ogtorrent.words import words

_BLOCK = 4096  # bytes that a file takes at least
# After these every other path would fail, too.
_HOPELESS = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
_NO_SECOND_NAMES = (errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class What(StrEnum):
    NEW = "new"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True)
class Change:
    path: str
    what: What
    overlay: str  # groups/aula1
    why: str = ""  # where REFUSED
    takes: int = 0  # bytes of the target
    frees: int = 0  # bytes of it, after that


@dataclass(frozen=True)
class Outcome:
    changes: tuple[Change, ...]
    lost: frozenset[Lost]


def lay(target: Path, laid: Mapping[str, Laid], dry_run: bool) -> Outcome:
    """Lay every path, each after its directory. Nothing is touched where there is no room for all of it.

    Raises NoTarget, NotLaid, CorruptImage. What was laid before a failure stays, whole, and the next run
    goes on from there.
    """
    with contextlib.ExitStack() as stack:
        inside = stack.enter_context(_opened(target))
        overlays = {one.overlay.name: one.overlay.place for one in laid.values()}
        sources = {name: stack.enter_context(Inside(place)) for name, place in overlays.items()}
        if not dry_run and not inside.lock():
            raise NotLaid(target, words("another run lays over it"), words("Try again when that has ended."))
        planned = _Layer(inside, target, sources, dry_run=True).run(laid)
        if dry_run:
            return planned
        _check_room(target, planned, inside.free())
        return _Layer(inside, target, sources, dry_run=False).run(laid)


def _opened(target: Path) -> Inside:
    try:
        # A restored file system is never empty, but the place where it was to be mounted is.
        if not target.is_mount() and not any(target.iterdir()):
            raise NoTarget(str(target), words("it is empty and nothing is mounted there"))
        return Inside(target)
    except OSError as error:
        raise NoTarget(str(target), error.strerror or str(error)) from error


def _check_room(target: Path, planned: Outcome, free: int) -> None:
    """A file needs its room while the one that it replaces is still there."""
    needed = taken = 0
    for change in planned.changes:
        needed = max(needed, taken + change.takes)
        taken += change.takes - change.frees
    if needed > free:
        raise NotLaid(
            target,
            words("{needed} are needed, {free} are free", needed=words.bytes(needed), free=words.bytes(free)),
            words("Nothing was changed."),
        )


class _Layer:
    """One run over a target."""

    def __init__(self, inside: Inside, target: Path, sources: Mapping[str, Inside], dry_run: bool) -> None:
        self._inside, self._target, self._sources, self._dry_run = inside, target, sources, dry_run
        self._lost: set[Lost] = set()
        self._places: dict[tuple[int, int, str], Entry] = {}

    def run(self, laid: Mapping[str, Laid]) -> Outcome:
        changes: dict[str, Change] = {}
        directories: list[tuple[Laid, What, object]] = []
        self._inside.followed.clear()
        for path, one in laid.items():
            try:
                if path.rpartition("/")[0] in changes:  # a link stands there, perhaps, that leads elsewhere
                    raise Refused(words("what is above it is not laid"))
                with self._above(one.entry) as above:
                    if one.entry.kind is Kind.DIRECTORY:
                        directories.append((one, *self._directory(one.entry, above)))
                    else:
                        changes[path] = self._one(one, above)
            except (OSError, Refused) as trouble:
                changes[path] = self._refused(one, trouble)
        # Their times last: what is laid into a directory changes them.
        for one, what, before in reversed(directories):
            try:
                changes[one.entry.path] = self._dressed(one, what, before)
            except OSError as trouble:
                changes[one.entry.path] = self._refused(one, trouble)
        return Outcome(tuple(changes[path] for path in laid), frozenset(self._lost))

    def _refused(self, one: Laid, trouble: OSError | Refused) -> Change:
        if isinstance(trouble, OSError) and trouble.errno in _HOPELESS:
            raise NotLaid(
                self._target,
                f"{one.entry.path}: {trouble.strerror}",
                words("What was laid stays; run this again when that is mended."),
            ) from trouble
        why = (trouble.strerror or str(trouble)) if isinstance(trouble, OSError) else str(trouble)
        return Change(one.entry.path, What.REFUSED, one.overlay.name, why)

    @contextlib.contextmanager
    def _above(self, entry: Entry) -> Iterator[int | None]:
        """The directory that a path is laid into; None where it will be made."""
        try:
            above = self._inside.directory(entry.parts[:-1])
        except (FileNotFoundError, NotADirectoryError):
            if not self._dry_run:
                raise
            yield None
            return
        try:
            if not self._dry_run:
                clear(above)
            self._check_place(entry, above)
            yield above
        finally:
            os.close(above)

    def _check_place(self, entry: Entry, above: int) -> None:
        """Links may make two paths of an overlay one: then the second would undo the first."""
        status = os.fstat(above)
        place = status.st_dev, status.st_ino, entry.parts[-1]
        if place in self._inside.followed and entry.kind is not Kind.DIRECTORY:
            raise Refused(words("it would replace a link that leads to other paths of the overlay"))
        other = self._places.setdefault(place, entry)
        if other.path != entry.path and not other.kind is entry.kind is Kind.DIRECTORY:
            raise Refused(words("through a link it is the same as {path!r}", path=other.path))

    def _directory(self, entry: Entry, above: int | None) -> tuple[What, object]:
        """Have a directory there; what is new of it, and how it looked before."""
        if above is None:
            return What.NEW, None
        name = entry.parts[-1]
        status = status_of(name, above)
        if status is not None and stat.S_ISDIR(status.st_mode):
            if self._places.setdefault((status.st_dev, status.st_ino, ""), entry) is not entry:
                return What.UNCHANGED, None  # through a link it is one that another path has
            return What.UNCHANGED, self._looked(entry)
        if status is not None and stat.S_ISLNK(status.st_mode):
            with contextlib.suppress(OSError):  # it leads to no directory
                os.close(self._inside.directory(entry.parts))
                return What.UNCHANGED, None  # as /lib does to usr/lib, which keeps what it has
        if not self._dry_run:
            if status is None:
                os.mkdir(name, 0o700, dir_fd=above)
            else:
                os.mkdir(LAYING, 0o700, dir_fd=above)
                if not exchanged(LAYING, name, above):
                    os.unlink(name, dir_fd=above)
                    os.rename(LAYING, name, src_dir_fd=above, dst_dir_fd=above)
                clear(above)
            os.fsync(above)
            made = status_of(name, above)
            if made is not None:
                self._places.setdefault((made.st_dev, made.st_ino, ""), entry)
        return What.NEW if status is None else What.REPLACED, None

    def _looked(self, entry: Entry) -> object:
        descriptor = self._inside.directory(entry.parts)
        try:
            return look(descriptor)
        finally:
            os.close(descriptor)

    def _dressed(self, one: Laid, what: What, before: object) -> Change:
        if what is What.UNCHANGED and before is not None and before != wanted(one.entry):
            what = What.REPLACED
        if not self._dry_run and (what is not What.UNCHANGED or before is not None):
            descriptor = self._inside.directory(one.entry.parts)
            try:
                if look(descriptor) != wanted(one.entry):
                    self._lost |= dress(descriptor, one.entry)
                if before is not None and look(descriptor) == before:
                    what = What.UNCHANGED  # all that this file system keeps
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        takes = _BLOCK if what is What.NEW else 0
        return Change(one.entry.path, what, one.overlay.name, takes=takes)

    def _one(self, one: Laid, above: int | None) -> Change:
        """A file, link or second name."""
        entry, name = one.entry, one.entry.parts[-1]
        status = status_of(name, above) if above is not None else None
        takes = self._checked_source(one)
        if above is None or status is None:
            what = What.NEW
        elif stat.S_ISDIR(status.st_mode):
            check_empty(name, above)
            what = What.REPLACED
        else:
            what = What.UNCHANGED if self._stands(one, above, status) else What.REPLACED
        if above is not None and what is not What.UNCHANGED and not self._dry_run:
            try:
                if not self._made(one, above, status):
                    what = What.UNCHANGED
                else:
                    put(name, above, status)
                    os.fsync(above)
            finally:
                clear(above)
        if what is What.UNCHANGED:
            takes = 0
        alone = what is What.REPLACED and status is not None and status.st_nlink == 1
        frees = status.st_blocks * 512 if alone and status is not None else 0
        return Change(entry.path, what, one.overlay.name, takes=takes, frees=frees)

    def _checked_source(self, one: Laid) -> int:
        """Bytes that the path takes. Raises CorruptImage where its overlay has changed since its manifest."""
        if one.entry.kind is not Kind.FILE:
            return _BLOCK
        os.close(self._source(one))
        return one.entry.size + _BLOCK

    def _source(self, one: Laid) -> int:
        why = words("{path!r} is not as its manifest says", path=one.source)
        try:
            descriptor = self._sources[one.overlay.name].file(one.source.split("/"))
        except OSError as error:
            why = f"{one.source}: {error.strerror}"
        else:
            status = os.fstat(descriptor)
            size = one.entry.size if one.entry.kind is Kind.FILE else status.st_size
            if stat.S_ISREG(status.st_mode) and status.st_size == size:
                return descriptor
            os.close(descriptor)
        raise CorruptImage(str(one.overlay.place), why, words("Run update-cache again."))

    def _stands(self, one: Laid, above: int, status: os.stat_result) -> bool:
        """Whether what stands there is what would be laid, to the last byte."""
        entry, name = one.entry, one.entry.parts[-1]
        match entry.kind:
            case Kind.LINK:
                kept = (status.st_uid, status.st_gid, status.st_mtime_ns)
                return leads(name, above, status) == entry.target and kept == (
                    entry.uid,
                    entry.gid,
                    entry.mtime,
                )
            case Kind.HARD_LINK:
                return self._first(entry) == (status.st_dev, status.st_ino)
        if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
            return False
        with contextlib.ExitStack() as stack:
            try:
                standing = open_file(name, above)
            except PermissionError:  # then it is written anew, if it may be
                return False
            stack.callback(os.close, standing)
            source = self._source(one)
            stack.callback(os.close, source)
            return look(standing) == wanted(entry) and same_bytes(standing, source)

    def _first(self, entry: Entry) -> tuple[int, int] | None:
        """Which file the first name of a second one stands for."""
        parts = entry.target.split("/")
        try:
            above = self._inside.directory(parts[:-1])
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            status = status_of(parts[-1], above)
        finally:
            os.close(above)
        return (status.st_dev, status.st_ino) if status is not None else None

    def _made(self, one: Laid, above: int, status: os.stat_result | None) -> bool:
        """Make it beside its place; False where all that this file system keeps of it stands there."""
        entry, name = one.entry, one.entry.parts[-1]
        if entry.kind is Kind.LINK:
            os.symlink(entry.target, LAYING, dir_fd=above)
            self._lost |= dress_link(LAYING, above, entry)
            return status is None or link_look(name, above) != link_look(LAYING, above)
        if entry.kind is Kind.HARD_LINK:
            if self._linked(entry, above):
                return True
            file = next(other for other in one.overlay.entries if other.path == one.source)
            one = Laid(file, one.overlay, one.source)
        made = os.open(LAYING, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=above)
        try:
            self._copy(one, made)
            self._lost |= dress(made, one.entry)
            os.fsync(made)
            if status is None or not stat.S_ISREG(status.st_mode):
                return True
            try:
                standing = open_file(name, above)
            except PermissionError:
                return True
            try:
                return look(made) != look(standing) or not same_bytes(made, standing)
            finally:
                os.close(standing)
        finally:
            os.close(made)

    def _linked(self, entry: Entry, above: int) -> bool:
        parts = entry.target.split("/")
        first = self._inside.directory(parts[:-1])
        try:
            os.link(parts[-1], LAYING, src_dir_fd=first, dst_dir_fd=above, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_SECOND_NAMES:
                raise
            self._lost.add(Lost.HARD_LINKS)
            return False
        finally:
            os.close(first)
        return True

    def _copy(self, one: Laid, made: int) -> None:
        source = self._source(one)
        try:
            while data := os.read(source, CHUNK):
                while data:
                    data = data[os.write(made, data) :]
        finally:
            os.close(source)
        if os.fstat(made).st_size != one.entry.size:
            os.close(self._source(one))  # which says so
            raise Refused(words("it changed while it was read"))
