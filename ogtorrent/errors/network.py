"""Servers, swarms and multicast."""

from __future__ import annotations

from ogtorrent.errors.root import OgtorrentError
from ogtorrent.words import words


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


class CannotJoin(OgtorrentError):
    exit_code = 60

    def __init__(self, what: str, why: str, advice: str) -> None:
        super().__init__(words("Cannot join {what}: {why}. {advice}", what=what, why=why, advice=advice))


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
