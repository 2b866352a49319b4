"""A cache that is to boot by itself."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.errors.root import OgtorrentError
from ogtorrent.words import words


class NoLiveSystem(OgtorrentError):
    exit_code = 2

    def __init__(self, place: str, why: str) -> None:
        self.place = place
        super().__init__(
            words(
                "There is no live system at {place}: {why}. Name another one with --live.",
                place=place,
                why=why,
            )
        )


class NoBootPlace(OgtorrentError):
    exit_code = 3

    def __init__(self, disk: Path, why: str, advice: str) -> None:
        self.disk = disk
        super().__init__(
            words(
                "The disk {disk} cannot be made to boot: {why}. {advice}", disk=disk, why=why, advice=advice
            )
        )


class AnothersBootLoader(OgtorrentError):
    """`replacing`, `leaving`: what `--boot-loader` has to say so that it is replaced, or stays."""

    exit_code = 4

    def __init__(self, place: str, whose: str, replacing: str, leaving: str) -> None:
        self.place, self.whose = place, whose
        super().__init__(
            words(
                "{place} starts {whose}; nothing was written. `--boot-loader {replacing}` replaces it and "
                "keeps a copy, `--boot-loader {leaving}` leaves it.",
                place=place,
                whose=whose,
                replacing=replacing,
                leaving=leaving,
            )
        )


class OfflineLocked(OgtorrentError):
    exit_code = 4

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        super().__init__(
            words("{cache} is made bootable by somebody else. Try again when that has ended.", cache=cache)
        )
