"""Names, options and files of the wrong form."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.errors.root import OgtorrentError
from ogtorrent.words import words


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


class UnfitToken(OgtorrentError):
    """Of the token itself nothing is told."""

    exit_code = 1

    def __init__(self, file: Path, why: str, advice: str) -> None:
        self.file = file
        super().__init__(
            words("The token in {file} cannot be used: {why}. {advice}", file=file, why=why, advice=advice)
        )
