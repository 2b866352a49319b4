"""The inventory on disk, in the repository's own folder."""

from __future__ import annotations

import json
from types import MappingProxyType

from ogtorrent.layout import Tree
from ogtorrent.repository.inventory import NOTHING, Client, Inventory

Signature = tuple[int, int, int]


class Kept:
    """The inventory of a tree as it stands now, whoever changed it: the server, or a command beside it."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._file = tree.home / "inventory.json"
        self._seen: tuple[Signature, Inventory] | None = None

    @property
    def inventory(self) -> Inventory:
        """One stat where it has not changed since the last look."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return NOTHING
        signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        if self._seen is None or self._seen[0] != signature:
            self._seen = signature, _parsed(self._file.read_bytes())
        return self._seen[1]


def _parsed(raw: bytes) -> Inventory:
    fields = json.loads(raw)
    clients = {client["name"]: Client(**client) for client in fields["clients"]}
    return Inventory(frozenset(fields["groups"]), MappingProxyType(clients))
