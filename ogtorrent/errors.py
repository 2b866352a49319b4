"""One tree of errors; each knows its facts, its words and its OpenGnsys exit code.

    OgtorrentError                40  unforeseen
    |- BadName                     1  a name, session string or argument of the wrong form
    |- BadOptions                  1
    |- BadAddress                  1  an address, port or network of the wrong form
    |- UnknownImage                2  not in the repository
    |- UnknownRoot                 2  no folder of images there
    |- ImageLocked                 4  somebody writes it
    |- UnfitImage                  5  cannot be published
    |- NotWritable                14
    |- NoCache                    15  no partition labelled CACHE, or no such directory
    |- CacheFull                  16  too small or full
    |- RepositoryUnreachable      23  no answer
    |- NotARepository             23  an answer, but not one of ours
    |- UpdateFailed               31
    |  `- HostileMetainfo         31
    |- CorruptImage               33
    `- CannotJoin                 60  the swarm, the tracker or the port

The codes are those of OpenGnsys (`/opt/opengnsys/lib/engine/bin/*.lib`, OG_ERR_*).
Every message is one sentence that says what was wrong and one that says what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class OgtorrentError(Exception):
    """The root of the tree; `exit_code` is what the command returns."""

    exit_code = 40


class BadName(OgtorrentError):
    exit_code = 1

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"{name!r} cannot name an image: {why}.")


class BadOptions(OgtorrentError):
    exit_code = 1

    def __init__(self, given: str, why: str) -> None:
        self.given = given
        super().__init__(
            f"{given!r} is no torrent session: {why}. Write MODE:SECONDS, for example peer:600; "
            "MODE is peer, seeder or leecher."
        )


class BadAddress(OgtorrentError):
    exit_code = 1

    def __init__(self, given: str, why: str) -> None:
        self.given = given
        super().__init__(f"{given!r} cannot be used: {why}.")


class UnknownImage(OgtorrentError):
    exit_code = 2

    def __init__(self, image: str, server: str, near: Sequence[str] = ()) -> None:
        self.image, self.server, self.near = image, server, tuple(near)
        advice = (
            f"Did you mean {' or '.join(near)}?"
            if near
            else f"See http://{server}/catalogue for what it publishes."
        )
        super().__init__(f"{server} publishes no image {image!r}. {advice}")


class UnknownRoot(OgtorrentError):
    exit_code = 2

    def __init__(self, where: str, advice: str) -> None:
        self.where = where
        super().__init__(f"There is no folder of images at {where}. {advice}")


class ImageLocked(OgtorrentError):
    exit_code = 4

    def __init__(self, image: str, why: str) -> None:
        self.image = image
        super().__init__(f"The image {image!r} is locked: {why}. Try again when that has ended.")


class UnfitImage(OgtorrentError):
    exit_code = 5

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image, self.why = image, why
        super().__init__(f"The image {image!r} cannot be published: {why}. {advice}")


class NotWritable(OgtorrentError):
    exit_code = 14

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        self.code = 0  # the errno, where there is one
        super().__init__(f"{path} cannot be written: {why}. Check owner, mode and mount options.")

    @classmethod
    def of(cls, path: Path, error: OSError) -> NotWritable:
        refusal = cls(path, error.strerror or str(error))
        refusal.code = error.errno or 0
        return refusal


class NoCache(OgtorrentError):
    exit_code = 15

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(f"There is no cache: {why}. {advice}")


class CacheFull(OgtorrentError):
    """`needed` and `free` in bytes; `total` is the size of the whole cache where it is known."""

    exit_code = 16

    def __init__(self, image: str, needed: int, free: int, total: int | None = None) -> None:
        self.image, self.needed, self.free, self.total = image, needed, free, total
        if total is not None and needed > total:
            state, advice = f"too small ({total} bytes in all)", "Give the cache a larger partition."
        else:
            state, advice = "full", "Remove an image that is no longer wanted and run this again."
        super().__init__(
            f"The cache is {state}: {image!r} needs {needed} more bytes and {free} are free. {advice}"
        )


class RepositoryUnreachable(OgtorrentError):
    exit_code = 23

    def __init__(self, server: str, why: str) -> None:
        self.server = server
        super().__init__(
            f"The repository {server} does not answer: {why}. "
            "Check the address, the network cable and that `ogtorrent serve` runs there."
        )


class NotARepository(OgtorrentError):
    exit_code = 23

    def __init__(self, server: str, why: str) -> None:
        self.server = server
        super().__init__(
            f"{server} answers, but not as a repository of ogtorrent: {why}. Check the address and the port."
        )


class UpdateFailed(OgtorrentError):
    exit_code = 31

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image = image
        super().__init__(f"The image {image!r} could not be brought into the cache: {why}. {advice}")


class HostileMetainfo(UpdateFailed):
    def __init__(self, source: str, why: str) -> None:
        self.source, self.why = source, why
        super().__init__(
            source, f"its metainfo is refused, {why}", "Publish the image anew on the repository."
        )


class CorruptImage(OgtorrentError):
    exit_code = 33

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image = image
        super().__init__(f"The image {image!r} is damaged: {why}. {advice}")


class CannotJoin(OgtorrentError):
    exit_code = 60

    def __init__(self, what: str, why: str, advice: str) -> None:
        super().__init__(f"Cannot join {what}: {why}. {advice}")
