"""Groups and clients."""

from __future__ import annotations

from pathlib import Path

from ogtorrent.errors.root import OgtorrentError
from ogtorrent.words import words


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


class UnknownEntry(OgtorrentError):
    exit_code = 2

    def __init__(self, layer: str, name: str) -> None:
        self.layer, self.name = layer, name
        super().__init__(words("{entry} is not in the inventory.", entry=_entry(layer, name)))


def _entry(layer: str, name: str) -> str:
    """A group or client, as a sentence names it; `layer` is the directory that has all of them."""
    if layer == "groups":
        return words("The group {name!r}", name=name)
    return words("The client {name!r}", name=name)
