"""What takes the places of OpenGnsys's commands."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.errors.root import OgtorrentError
from ogtorrent.words import words


class NoOpenGnsys(OgtorrentError):
    exit_code = 2

    def __init__(self, prefix: Path) -> None:
        super().__init__(
            words(
                "None of OpenGnsys's commands is below {prefix}. Name where it is installed with --prefix.",
                prefix=prefix,
            )
        )


class OriginalLost(OgtorrentError):
    exit_code = 2

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(
            words(
                "The original of {path} cannot be brought back: {why}. Install OpenGnsys's own anew.",
                path=path,
                why=why,
            )
        )
