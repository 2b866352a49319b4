"""A live system: kernel, initrd and root in a squashfs; where one is found, and how it comes into a cache."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ogtorrent.errors import CacheFull, MissingProgram, NoLiveSystem, NotWritable
from ogtorrent.files import exchange, remove, sync_directory, write_whole
from ogtorrent.mounts import table
from ogtorrent.offline.programs import done, program
from ogtorrent.words import words

RUNNING = "running"  # the system that is running, instead of a folder
MAKING = ".making"  # the folder of a live system that is not whole yet
FACTS = "live.json"  # what is known of a live system, in its folder
PREFIX = "live-"
_FOLDER = re.compile(PREFIX + "[0-9a-f]{12}")
_BEGIN = 0x206  # bytes of a file that tell what it is
# Of a running system: what is made anew at each start, is somebody's own, or is of this disk alone.
EMPTIED = ("dev", "home", "media", "mnt", "proc", "run", "sys", "tmp", "var/cache/apt", "var/tmp")
GONE = ("etc/fstab", "lost+found")
# Directories that may be file systems of their own and still are the system.
OWN = {
    Path("/", part) for part in ("", "boot", "opt", "srv", "usr", "usr/local", "var", "var/lib", "var/log")
}
SHRINKS = 0.5  # at most, as a squashfs: what a system's files are of their size
OGLIVE = ("ogvmlinuz", "oginitrd.img", "ogclient.sqfs")
DEBIAN = ("vmlinuz", "initrd.img", "root.squashfs")


class Kind(StrEnum):
    """What its initrd is, and with it how that finds the root."""

    LIVE_BOOT = "live-boot"  # Debian's
    OGLIVE = "oglive"  # OpenGnsys's

    @property
    def files(self) -> tuple[str, str, str]:
        """Kernel, initrd and root, as they are called in a cache."""
        return OGLIVE if self is Kind.OGLIVE else DEBIAN


@dataclass(frozen=True)
class Source:
    """`kernel`, `initrd`, `root`: files to copy; the latter are None where they have to be made.

    `stamp` differs when the source does.
    """

    where: str  # a folder, or RUNNING
    kind: Kind
    kernel: Path
    initrd: Path | None
    root: Path | None
    stamp: Mapping[str, Any]


@dataclass(frozen=True)
class Live:
    """A live system in a cache. `files`: sizes in bytes and SHA-256, by name."""

    folder: str
    kind: Kind
    kernel: str
    initrd: str
    where: str
    stamp: Mapping[str, Any]
    files: Mapping[str, tuple[int, str]]

    @property
    def size(self) -> int:
        return sum(size for size, _ in self.files.values())


def source(where: str) -> Source:
    """Look for a live system. Raises NoLiveSystem, MissingProgram."""
    if where != RUNNING:
        return _in_folder(Path(where))
    arguments = Path("/proc/cmdline").read_text().split()
    told = dict(argument.partition("=")[::2] for argument in arguments)
    if told.get("boot") == "live":
        media = Path("/run/live/medium", told.get("live-media-path", "live").lstrip("/"))
        return _in_folder(media, RUNNING)
    if "oglivedir" in told:
        return _in_folder(Path("/opt/oglive/tftpboot", told["oglivedir"]), RUNNING)
    return _installed()


def _in_folder(folder: Path, where: str = "") -> Source:
    """OpenGnsys's three files, or a kernel, an initrd and a squashfs as Debian's live images have them."""
    where = where or str(folder.absolute())
    if not folder.is_dir():
        raise NoLiveSystem(where, words("{path} is no directory", path=folder))
    if all(_is(folder / name) for name in OGLIVE):
        return _source(where, Kind.OGLIVE, [folder / name for name in OGLIVE])
    if (folder / "live").is_dir():
        folder = folder / "live"
    kernel = _newest(where, folder, "vmlinuz*")
    # Of several, the initrd that has this kernel's modules: `vmlinuz-6.1.0` and `initrd.img-6.1.0`.
    version = glob.escape(kernel.name.removeprefix("vmlinuz"))
    own = f"initrd*{version}" if any(folder.glob(f"initrd*{version}")) else "initrd*"
    found = [kernel, _newest(where, folder, own), _newest(where, folder, "*.squashfs")]
    return _source(where, Kind.LIVE_BOOT, found)


def _newest(where: str, folder: Path, what: str) -> Path:
    """A signature or a list of sums beside a kernel is none. Raises NoLiveSystem."""
    fitting = [path for path in folder.glob(what) if _is(path)]
    if not fitting:
        raise NoLiveSystem(where, words("it holds no {what}", what=what))
    return max(fitting, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _is(path: Path) -> bool:
    """Whether a file is, by its first bytes, what its name says. Raises NotWritable."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            begin = file.read(_BEGIN)
    except OSError as error:
        raise NotWritable.of(path, error) from error
    if "vmlinuz" in path.name:
        return begin[0x202:0x206] == b"HdrS"  # The Linux/x86 Boot Protocol
    if path.suffix in (".squashfs", ".sqfs"):
        return begin.startswith(b"hsqs")  # squashfs's superblock
    return bool(begin)  # an initrd is packed in many ways


def _source(where: str, kind: Kind, files: list[Path]) -> Source:
    kernel, initrd, root = files
    stamp = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files}
    return Source(where, kind, kernel, initrd, root, stamp)


def _installed() -> Source:
    """The system on this PC's disk: its kernel; an initrd and a root that are made of it."""
    release = platform.release()
    kernel = Path("/boot", f"vmlinuz-{release}")
    if not kernel.is_file():
        raise NoLiveSystem(RUNNING, words("the kernel that runs is not at {path}", path=kernel))
    if not Path("/usr/share/initramfs-tools/scripts/live").exists():
        raise MissingProgram("live-boot", "live-boot")
    program("mkinitramfs")
    program("mksquashfs")
    packages = Path("/var/lib/dpkg/status")  # changes when anything is installed
    changed = packages.stat().st_mtime_ns if packages.exists() else 0
    return Source(RUNNING, Kind.LIVE_BOOT, kernel, None, None, {"kernel": release, "packages": changed})


def read(home: Path, folder: str) -> Live | None:
    """What stands in a folder of a cache."""
    if not _FOLDER.fullmatch(folder):
        return None
    try:
        told = json.loads((home / folder / FACTS).read_bytes())
        files = {name: (int(size), str(digest)) for name, (size, digest) in told.pop("files").items()}
        live = Live(folder, Kind(told.pop("kind")), **told, files=files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # none of ours, or cut: it is made anew
    # The menu is made of these names.
    ours = (live.kernel, live.initrd) == live.kind.files[:2] and {*files} == {*live.kind.files}
    return live if ours else None


def remove_others(home: Path, live: Live | None) -> None:
    """Raises OSError."""
    for path in home.glob(f"{PREFIX}*"):
        if live is None or path.name != live.folder:
            remove(path)


def is_whole(home: Path, live: Live, content: bool = False) -> bool:
    """Whether each file has its size, and its SHA-256 where the `content` is read as well."""
    for name, (size, digest) in live.files.items():
        path = home / live.folder / name
        if not path.is_file() or path.stat().st_size != size:
            return False
        if content:
            try:
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                        return False
            except OSError:  # a sector that cannot be read
                return False
    return True


def needed(source: Source, cache: Path) -> int:
    """Bytes that it takes in a cache; a guess on the safe side where the root is yet to be made."""
    copied = [path for path in (source.kernel, source.initrd, source.root) if path is not None]
    size = sum(path.stat().st_size for path in copied)
    if source.root is None:
        size += int(SHRINKS * sum(_sizes(Path("/"), _emptied(cache)))) + 2**27  # and the initrd
    return size


def _sizes(root: Path, emptied: list[str]) -> Iterator[int]:
    without = {root / one for one in emptied}
    for directory, folders, files in os.walk(root):
        folders[:] = [name for name in folders if Path(directory, name) not in without]
        for name in files:
            try:
                status = Path(directory, name).lstat()
            except OSError:  # it has just gone
                continue
            yield status.st_size if stat.S_ISREG(status.st_mode) else 0


def _emptied(cache: Path) -> list[str]:
    """Directories below `/` whose content is not packed: with what is mounted and no part of the system."""
    others = {mount.at for mount in table.read()} - OWN | {cache.resolve()}
    return [*EMPTIED, *(str(path.relative_to("/")) for path in sorted(others))]


def left_out(emptied: Iterable[str]) -> list[str]:
    """As `mksquashfs -wildcards -e` reads it: `*` is no name that begins with a dot."""
    literal = ["".join(f"\\{one}" if one in "\\*?[]!()+@|" else one for one in path) for path in emptied]
    return [*GONE, *(f"{path}/{all_names}" for path in literal for all_names in ("*", ".*"))]


def bring(source: Source, home: Path, cache: Path, free: int, tell: Callable[[str], None]) -> Live:
    """Into a folder of its own, whole or not at all. Raises CacheFull, NotWritable, MissingProgram.

    Nothing is written where `free` bytes do not do.
    """
    wanted = needed(source, cache)
    if wanted > free:
        raise CacheFull(words("the live system"), wanted, free, total=None)
    making = home / MAKING
    try:
        remove(making)
        making.mkdir(mode=0o700)
        names = source.kind.files
        for name, origin in zip(names, (source.kernel, source.initrd, source.root), strict=True):
            if origin is not None:
                tell(words("copying {path}", path=origin))
                shutil.copyfile(origin, making / name)
                times = origin.stat()
                os.utime(making / name, ns=(times.st_atime_ns, times.st_mtime_ns))
        if source.initrd is None:
            tell(words("making an initrd"))
            done(making, "mkinitramfs", "-o", making / names[1], source.stamp["kernel"])
        if source.root is None:
            tell(words("making a squashfs of the running system"))
            _squash(making / names[2], cache)
        files = {name: _durable(making / name) for name in names}
        version = hashlib.sha256("".join(digest for _, digest in files.values()).encode()).hexdigest()[:12]
        live = Live(PREFIX + version, source.kind, names[0], names[1], source.where, source.stamp, files)
        told = {name: value for name, value in vars(live).items() if name != "folder"}
        write_whole(making / FACTS, json.dumps(told).encode())
        if (home / live.folder).is_dir():  # the same once more, or damaged
            exchange(making, home / live.folder)
            remove(making)
        else:
            making.rename(home / live.folder)
        sync_directory(home)
    except OSError as error:
        remove(making)
        raise NotWritable.of(making, error) from error
    except NotWritable:
        remove(making)
        raise
    return live


def _squash(place: Path, cache: Path) -> None:
    # A quick compression: this runs in a classroom, perhaps on every PC of it.
    packed = ("-comp", "zstd", "-Xcompression-level", "3", "-noappend", "-no-progress", "-quiet")
    done(place, "mksquashfs", "/", place, *packed, "-wildcards", "-e", *left_out(_emptied(cache)))


def _durable(path: Path) -> tuple[int, str]:
    """Its size and SHA-256, once the disk has it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
