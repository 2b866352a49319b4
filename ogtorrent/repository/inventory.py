"""The inventory: which groups and clients the console knows. Values only; `kept` has them on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Client:
    """A PC as the console's database has it; what it does not know is empty."""

    name: str
    group: str = ""
    ip: str = ""
    mac: str = ""


@dataclass(frozen=True)
class Inventory:
    groups: frozenset[str] = frozenset()
    clients: Mapping[str, Client] = field(default_factory=lambda: MappingProxyType({}))

    def client_at(self, address: str) -> Client | None:
        """The client that has an address."""
        return next((client for client in self.clients.values() if client.ip == address), None)


NOTHING = Inventory()
