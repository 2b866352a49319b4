"""Disks: of a cache, a repository, or what was restored."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.errors.root import OgtorrentError
from ogtorrent.words import words


class NotWritable(OgtorrentError):
    exit_code = 14

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        self.code = 0  # the errno, where there is one
        super().__init__(
            words("{path} cannot be written: {why}. Check owner, mode and mount options.", path=path, why=why)
        )

    @classmethod
    def of(cls, path: Path, error: OSError) -> NotWritable:
        refusal = cls(path, error.strerror or str(error))
        refusal.code = error.errno or 0
        return refusal


class NotLaid(OgtorrentError):
    exit_code = 14

    def __init__(self, target: Path, why: str, advice: str) -> None:
        self.target, self.why = target, why
        super().__init__(
            words(
                "Not all could be laid over {target}: {why}. {advice}", target=target, why=why, advice=advice
            )
        )


class NoCache(OgtorrentError):
    exit_code = 15

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(words("There is no cache: {why}. {advice}", why=why, advice=advice))


class CacheFull(OgtorrentError):
    """`needed` and `free` in bytes; `total`, the size of the whole cache, is None in mid-download."""

    exit_code = 16

    def __init__(self, image: str, needed: int, free: int, total: int | None = None) -> None:
        self.image, self.needed, self.free, self.total = image, needed, free, total
        if total is not None and needed > total:
            told = words(
                "The cache is too small ({total} bytes in all): {image!r} needs {needed} more bytes and "
                "{free} are free. Give the cache a larger partition.",
                total=total,
                image=image,
                needed=needed,
                free=free,
            )
        elif total is None:
            told = words(
                "The cache is full: {image!r} needs {needed} more bytes and {free} are free. What came is "
                "kept: remove an image that is no longer wanted and run this again.",
                image=image,
                needed=needed,
                free=free,
            )
        else:
            told = words(
                "The cache is full: {image!r} needs {needed} more bytes and {free} are free. Remove an image "
                "that is no longer wanted and run this again.",
                image=image,
                needed=needed,
                free=free,
            )
        super().__init__(told)


class NotOnDisk(OgtorrentError):
    exit_code = 2

    def __init__(self, image: str, path: Path) -> None:
        self.image, self.path = image, path
        super().__init__(
            words("There is no image {image!r} below {path}. Check SUBDIR and IMAGE.", image=image, path=path)
        )


class DiskGone(OgtorrentError):
    exit_code = 23

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            words(
                "The disk at {path} is no longer there: it was pulled out or unmounted. Plug it in and run "
                "this again; what came is kept.",
                path=path,
            )
        )


class NoTarget(OgtorrentError):
    exit_code = 3

    def __init__(self, target: str, why: str) -> None:
        self.target = target
        super().__init__(
            words(
                "There is no file system at {target}: {why}. Mount the partition that was restored.",
                target=target,
                why=why,
            )
        )
