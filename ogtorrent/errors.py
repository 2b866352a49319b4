"""One tree of errors; each knows its facts, its words and its OpenGnsys exit code.

    OgtorrentError                40  unforeseen
    |- BadName                     1  a name, session string or argument of the wrong form
    |- BadOptions                  1
    |- BadAddress                  1  an address, port or network of the wrong form
    |- BadSettings                 1  a settings file that sets what there is not, or wrongly
    |- UnfitToken                  1  it, or its file, cannot guard the repository
    |- UnfitEntry                  1  a group or client that cannot be one
    |- EntryConflict               1  a group or client that cannot be beside the others
    |- UnfitInventory              1  the inventory's file is damaged
    |- UnknownEntry                2  no such group or client
    |- BadMirror                   1
    |- UnknownImage                2  not in the repository
    |- UnknownRoot                 2  no folder of images there
    |- NotInCache                  2  no such image, or no previous version of it
    |- AnotherTree                 1  a folder that is not what a tree is to be made of
    |- AmbiguousImage              1  it stands in several trees of the cache
    |- NoTarget                    3  no file system there to lay something over
    |- ImageLocked                 4  somebody writes it
    |- ImagePinned                 4  its owner keeps it
    |- UnfitImage                  5  cannot be published
    |- MissingProgram              7  another package's, which this work needs
    |- NotWritable                14
    |- NotLaid                    14  an overlay, or a part of it
    |- NoCache                    15  no partition labelled CACHE, or no such directory
    |- CacheFull                  16  too small or full
    |- RepositoryUnreachable      23  no answer
    |- NotARepository             23  an answer, but not one of ours
    |- UpdateFailed               31
    |  |- OverlayFailed           31  the image stands, what is laid over it does not
    |  `- HostileMetainfo         31
    |- MirrorFailed               31  an image of a `--mirror`
    |- CorruptImage               33
    |- BadSession                 55  a multicast session string of the wrong form
    |- MulticastSend              56  the server's sender failed
    |- MulticastReceive           57  this PC's receiver failed
    `- CannotJoin                 60  the swarm, the tracker, the port or the session

The codes are those of OpenGnsys (`/opt/opengnsys/lib/engine/bin/*.lib`, OG_ERR_*).
Every message is one sentence that says what was wrong and one that says what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ogtorrent.words import words


class OgtorrentError(Exception):
    """The root of the tree; `exit_code` is what the command returns."""

    exit_code = 40


class BadName(OgtorrentError):
    exit_code = 1

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(words("{name!r} cannot name an image: {why}.", name=name, why=why))


class BadOptions(OgtorrentError):
    exit_code = 1

    def __init__(self, given: str, why: str) -> None:
        self.given = given
        super().__init__(
            words(
                "{given!r} is no torrent session: {why}. Write MODE:SECONDS, for example peer:600; "
                "MODE is peer, seeder or leecher.",
                given=given,
                why=why,
            )
        )


class BadAddress(OgtorrentError):
    exit_code = 1

    def __init__(self, given: str, why: str) -> None:
        self.given = given
        super().__init__(words("{given!r} cannot be used: {why}.", given=given, why=why))


class BadSettings(OgtorrentError):
    exit_code = 1

    def __init__(self, path: Path, key: str, why: str, advice: str = "") -> None:
        self.path, self.key = path, key
        place = f"{path}: {key}" if key else str(path)
        advice = advice or words("Correct the file, or leave that line out.")
        super().__init__(f"{place}: {why}. {advice}")


class UnfitToken(OgtorrentError):
    """Of the token itself nothing is told."""

    exit_code = 1

    def __init__(self, file: Path, why: str, advice: str) -> None:
        self.file = file
        super().__init__(
            words("The token in {file} cannot be used: {why}. {advice}", file=file, why=why, advice=advice)
        )


def _entry(layer: str, name: str) -> str:
    """A group or client, as a sentence names it; `layer` is the directory that has all of them."""
    if layer == "groups":
        return words("The group {name!r}", name=name)
    return words("The client {name!r}", name=name)


class UnfitEntry(OgtorrentError):
    exit_code = 1

    def __init__(self, layer: str, name: str, why: str) -> None:
        self.layer, self.name, self.why = layer, name, why
        super().__init__(words("{entry} is refused: {why}.", entry=_entry(layer, name), why=why))


class EntryConflict(OgtorrentError):
    exit_code = 1

    def __init__(self, layer: str, name: str, why: str, advice: str) -> None:
        self.layer, self.name, self.why = layer, name, why
        super().__init__(words("{entry}: {why}. {advice}", entry=_entry(layer, name), why=why, advice=advice))


class UnfitInventory(OgtorrentError):
    exit_code = 1

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(
            words(
                "The inventory {path} cannot be read: {why}. Mend it, or move it away and send the whole "
                "inventory anew; the directories of groups and clients stay.",
                path=path,
                why=why,
            )
        )


class UnknownEntry(OgtorrentError):
    exit_code = 2

    def __init__(self, layer: str, name: str) -> None:
        self.layer, self.name = layer, name
        super().__init__(words("{entry} is not in the inventory.", entry=_entry(layer, name)))


class UnknownImage(OgtorrentError):
    exit_code = 2

    def __init__(self, image: str, server: str, near: Sequence[str] = ()) -> None:
        self.image, self.server, self.near = image, server, tuple(near)
        advice = (
            words("Did you mean {images}?", images=words(" or ").join(near))
            if near
            else words("See http://{server}/catalogue for what it publishes.", server=server)
        )
        super().__init__(
            words(
                "{server} publishes no image {image!r}. {advice}", server=server, image=image, advice=advice
            )
        )


class BadMirror(OgtorrentError):
    exit_code = 1

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(
            words(
                "{given!r} cannot be mirrored. Name another repository as http://SERVER[:PORT], or a folder "
                "by its absolute path.",
                given=given,
            )
        )


class UnknownRoot(OgtorrentError):
    exit_code = 2

    def __init__(self, where: str, advice: str) -> None:
        self.where = where
        super().__init__(
            words("There is no folder of images at {where}. {advice}", where=where, advice=advice)
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


class AnotherTree(OgtorrentError):
    exit_code = 1

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(
            words(
                "No tree is made of {path}: {why}. Nothing was changed; name another folder.",
                path=path,
                why=why,
            )
        )


class NotLaid(OgtorrentError):
    exit_code = 14

    def __init__(self, target: Path, why: str, advice: str) -> None:
        self.target, self.why = target, why
        super().__init__(
            words(
                "Not all could be laid over {target}: {why}. {advice}", target=target, why=why, advice=advice
            )
        )


class NotInCache(OgtorrentError):
    exit_code = 2

    def __init__(self, what: str, advice: str) -> None:
        self.what = what
        super().__init__(words("The cache does not hold {what}. {advice}", what=what, advice=advice))


class AmbiguousImage(OgtorrentError):
    exit_code = 1

    def __init__(self, image: str, places: Sequence[Path]) -> None:
        self.image, self.places = image, tuple(places)
        super().__init__(
            words(
                "The cache holds {image!r} more than once: {places}. Name the one you mean by its path.",
                image=image,
                places=", ".join(map(str, places)),
            )
        )


class ImagePinned(OgtorrentError):
    exit_code = 4

    def __init__(self, image: str) -> None:
        self.image = image
        super().__init__(
            words("The image {image!r} is pinned. Unpin it first, or remove it with --force.", image=image)
        )


class ImageLocked(OgtorrentError):
    exit_code = 4

    def __init__(self, image: str, why: str) -> None:
        self.image = image
        super().__init__(
            words(
                "The image {image!r} is locked: {why}. Try again when that has ended.", image=image, why=why
            )
        )


class UnfitImage(OgtorrentError):
    exit_code = 5

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image, self.why = image, why
        super().__init__(
            words(
                "The image {image!r} cannot be published: {why}. {advice}",
                image=image,
                why=why,
                advice=advice,
            )
        )


class MissingProgram(OgtorrentError):
    exit_code = 7

    def __init__(self, program: str, package: str) -> None:
        self.program = program
        super().__init__(
            words(
                "The program {program} is missing. Install the package {package}.",
                program=program,
                package=package,
            )
        )


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


class RepositoryUnreachable(OgtorrentError):
    exit_code = 23

    def __init__(self, server: str, why: str) -> None:
        self.server, self.why = server, why
        super().__init__(
            words(
                "The repository {server} does not answer: {why}. "
                "Check the address, the network cable and that `ogtorrent serve` runs there.",
                server=server,
                why=why,
            )
        )


class NotARepository(OgtorrentError):
    exit_code = 23

    def __init__(self, server: str, why: str) -> None:
        self.server = server
        super().__init__(
            words(
                "{server} answers, but not as a repository of ogtorrent: {why}. "
                "Check the address and the port.",
                server=server,
                why=why,
            )
        )


class UpdateFailed(OgtorrentError):
    exit_code = 31

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image = image
        super().__init__(
            words(
                "The image {image!r} could not be brought into the cache: {why}. {advice}",
                image=image,
                why=why,
                advice=advice,
            )
        )


class OverlayFailed(UpdateFailed):
    def __init__(self, image: str, why: str) -> None:
        self.image, self.why = image, why
        OgtorrentError.__init__(
            self,
            words(
                "The image {image!r} stands whole in the cache, but not all that is laid over it: {why}. "
                "Run this again before it is restored.",
                image=image,
                why=why,
            ),
        )


class HostileMetainfo(UpdateFailed):
    def __init__(self, source: str, why: str) -> None:
        self.source, self.why = source, why
        super().__init__(
            source,
            words("its metainfo is refused, {why}", why=why),
            words("Publish the image anew on the repository."),
        )


class MirrorFailed(OgtorrentError):
    exit_code = 31

    def __init__(self, image: str, source: str, why: str, advice: str) -> None:
        self.image, self.source, self.why = image, source, why
        super().__init__(
            words(
                "The image {image!r} was not brought from {source}: {why}. {advice}",
                image=image,
                source=source,
                why=why,
                advice=advice,
            )
        )


class CorruptImage(OgtorrentError):
    exit_code = 33

    def __init__(self, image: str, why: str, advice: str) -> None:
        self.image = image
        super().__init__(
            words("The image {image!r} is damaged: {why}. {advice}", image=image, why=why, advice=advice)
        )


class BadSession(OgtorrentError):
    exit_code = 55

    def __init__(self, given: str, why: str) -> None:
        self.given, self.why = given, why
        super().__init__(
            words(
                "{given!r} is no multicast session: {why}. Write "
                "PORTBASE:METHOD:ADDRESS:SPEEDM:CLIENTS:WAIT, for example "
                "9000:full-duplex:239.194.17.36:70M:50:60.",
                given=given,
                why=why,
            )
        )


class MulticastSend(OgtorrentError):
    exit_code = 56

    def __init__(self, image: str, why: str) -> None:
        self.image = image
        super().__init__(
            words(
                "The repository could not send {image!r} by multicast: {why}. What came is kept; see "
                "its log, or run this again with --protocol torrent.",
                image=image,
                why=why,
            )
        )


class MulticastReceive(OgtorrentError):
    exit_code = 57

    def __init__(self, image: str, why: str) -> None:
        self.image = image
        super().__init__(
            words(
                "The image {image!r} could not be received by multicast: {why}. What came is kept; run this "
                "again, or with --protocol torrent.",
                image=image,
                why=why,
            )
        )


class CannotJoin(OgtorrentError):
    exit_code = 60

    def __init__(self, what: str, why: str, advice: str) -> None:
        super().__init__(words("Cannot join {what}: {why}. {advice}", what=what, why=why, advice=advice))
