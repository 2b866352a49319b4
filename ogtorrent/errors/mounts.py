"""What cannot be mounted, or not be unmounted."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.errors.root import OgtorrentError
from ogtorrent.words import words


class NotMountable(OgtorrentError):
    """A repository, another server, a NAS; its children say what else."""

    exit_code = 23

    def __init__(self, source: str, why: str, advice: str) -> None:
        self.source, self.why = source, why
        super().__init__(
            words("{source} cannot be mounted: {why}. {advice}", source=source, why=why, advice=advice)
        )


class NoCredentials(NotMountable):
    """The server lets nobody in without a name and a password, and none were given."""

    def __init__(self, source: str) -> None:
        super().__init__(
            source,
            words("the server asks for a name and a password"),
            words("Write them to a file and name it with --credentials, or run this on a terminal."),
        )


class CacheNotMountable(NotMountable):
    exit_code = 21


class DiskNotMountable(NotMountable):
    exit_code = 3


class NoDisk(OgtorrentError):
    """None was found, or none is there under that name."""

    exit_code = 3

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(words("There is no disk to mount: {why}. {advice}", why=why, advice=advice))


class MountBusy(OgtorrentError):
    """`users`: the processes that hold it, as `name (pid)`, or what else does."""

    exit_code = 4

    def __init__(self, at: Path, users: tuple[str, ...]) -> None:
        self.at, self.users = at, users
        super().__init__(
            words(
                "{at} cannot be unmounted: in use by {users}. End that and run this again.",
                at=at,
                users=", ".join(users) or words("somebody who cannot be seen"),
            )
        )


class BadCredentials(OgtorrentError):
    """Of what the file holds nothing is told."""

    exit_code = 1

    def __init__(self, file: Path, why: str, advice: str) -> None:
        self.file = file
        super().__init__(
            words(
                "The credentials in {file} cannot be used: {why}. {advice}", file=file, why=why, advice=advice
            )
        )
