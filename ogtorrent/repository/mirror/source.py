"""Where images come from: another repository, or a folder. The mirror knows no more of either."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ogtorrent.errors import BadAddress, BadMirror
from ogtorrent.fetch.catalogue import Listed
from ogtorrent.fetch.server import Server
from ogtorrent.repository.mirror.shelf import Shelf


class Source(Protocol):
    name: str  # as the administrator gave it

    def look(self) -> Sequence[Listed]:
        """What it has now. Blocks; raises OgtorrentError where it does not answer."""

    async def bring(self, offer: Listed, over: str, shelf: Shelf) -> None:
        """Fetch an image beside what stands, and land it. Raises OgtorrentError.

        `over`: the info-hash of what stands, which no other may have taken the place of.
        """

    async def compare(self, offer: Listed, shelf: Shelf) -> bool:
        """Whether what stands is what is offered. Raises OgtorrentError."""


def checked(given: str) -> str | Path:
    """`http://SERVER[:PORT]` as SERVER[:PORT], or an absolute folder. Raises BadMirror."""
    if given.startswith("/"):
        return Path(given)
    scheme, _, rest = given.partition("://")
    server = rest.removesuffix("/")
    try:
        if scheme != "http":
            raise BadMirror(given)
        Server.split(server)
    except BadAddress:
        raise BadMirror(given) from None
    return server
