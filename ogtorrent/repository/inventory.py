"""The inventory: which groups and clients the console knows. Values only; `kept` has them on disk.

What happens to it is a set of changes that take place at once, so names may go in a circle (a to b, b to a).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from ogtorrent.errors import BadName, EntryConflict, UnfitEntry, UnknownEntry
from ogtorrent.layout import Layer, Sidecar, checked_component
from ogtorrent.layout.names import IMAGE_SUFFIXES, NOT_IMAGES
from ogtorrent.words import words

_MAC = re.compile("[0-9a-f]{2}(?:(?P<between>[:-]?)[0-9a-f]{2}(?:(?P=between)[0-9a-f]{2}){4})", re.ASCII)
_ID = re.compile("[!-~]{1,64}")


@dataclass(frozen=True)
class Group:
    """A group of clients, such as a room; `id` is its key in the console's database, empty where unknown."""

    name: str
    id: str = ""


@dataclass(frozen=True)
class Client:
    """A PC as the console's database has it; what it does not know is empty."""

    name: str
    group: str = ""
    ip: str = ""
    mac: str = ""
    id: str = ""


Entry = Group | Client
E = TypeVar("E", bound=Entry)


@dataclass(frozen=True)
class Inventory:
    groups: frozenset[str] = frozenset()
    clients: Mapping[str, Client] = field(default_factory=lambda: MappingProxyType({}))
    group_ids: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # by name, the known

    def client_at(self, address: str) -> Client | None:
        """The client that has an address."""
        return next((client for client in self.clients.values() if client.ip == address), None)

    def group(self, name: str) -> Group:
        """Raises UnknownEntry."""
        if name not in self.groups:
            raise UnknownEntry(Layer.GROUP, name)
        return Group(name, self.group_ids.get(name, ""))

    def client(self, name: str) -> Client:
        """Raises UnknownEntry."""
        if name not in self.clients:
            raise UnknownEntry(Layer.CLIENT, name)
        return self.clients[name]

    def every_group(self) -> list[Group]:
        return [self.group(name) for name in sorted(self.groups)]

    def every_client(self) -> list[Client]:
        return [self.clients[name] for name in sorted(self.clients)]

    def names(self, layer: Layer) -> Iterable[str]:
        return self.groups if layer is Layer.GROUP else self.clients


NOTHING = Inventory()


@dataclass(frozen=True)
class Change:
    """What becomes of one group or client: without `before` it is new, without `after` it goes."""

    before: Entry | None
    after: Entry | None

    @property
    def layer(self) -> Layer:
        return Layer.GROUP if isinstance(self.after or self.before, Group) else Layer.CLIENT

    @property
    def renamed(self) -> bool:
        return self.before is not None and self.after is not None and self.before.name != self.after.name


def inventory_of(groups: Iterable[Group], clients: Iterable[Client]) -> Inventory:
    """Raises UnfitEntry, EntryConflict."""
    known_groups = _by_name(Layer.GROUP, [checked_group(group) for group in groups])
    known_clients = _by_name(Layer.CLIENT, [checked_client(client) for client in clients])
    for client in known_clients.values():
        if client.group and client.group not in known_groups:
            raise EntryConflict(
                Layer.CLIENT,
                client.name,
                words("there is no group {group!r}", group=client.group),
                words("Add the group first."),
            )
    _unique(Layer.GROUP, known_groups.values(), "id")
    for what in ("id", "ip", "mac"):
        _unique(Layer.CLIENT, known_clients.values(), what)
    ids = {group.name: group.id for group in known_groups.values() if group.id}
    return Inventory(frozenset(known_groups), MappingProxyType(known_clients), MappingProxyType(ids))


def checked_group(group: Group) -> Group:
    """Raises UnfitEntry."""
    _check_name(Layer.GROUP, group.name)
    return replace(group, id=_checked_id(Layer.GROUP, group))


def checked_client(client: Client) -> Client:
    """With address and MAC in the one way that they are written here. Raises UnfitEntry."""
    _check_name(Layer.CLIENT, client.name)
    return replace(
        client, ip=_checked_ip(client), mac=_checked_mac(client), id=_checked_id(Layer.CLIENT, client)
    )


def applied(inventory: Inventory, changes: Sequence[Change]) -> Inventory:
    """The inventory after changes that take place at once. Raises UnfitEntry, EntryConflict, UnknownEntry.

    The clients of a group that is renamed go with it, unless a change of theirs says otherwise.
    """
    for change in changes:
        if change.before is not None and change.before.name not in inventory.names(change.layer):
            raise UnknownEntry(change.layer, change.before.name)
    renamed = _renamed(changes)
    clients = [_in_group(client, renamed) for client in inventory.every_client()]
    groups = inventory.every_group()
    return inventory_of(_changed(Group, groups, changes), _changed(Client, clients, changes))


def changes_between(old: Inventory, new: Inventory) -> tuple[Change, ...]:
    """What makes `new` of `old`; `applied` is its other direction.

    An entry is the one that had its id; else the one that had its name; else, a client, the one that had its
    MAC. So a console that sends its ids, or the MACs, is understood when it renames, and one that was set up
    anew, with other ids, keeps every overlay by its name.
    """
    groups = _pairs(old.every_group(), new.every_group(), (_id, _name))
    found = [Change(one, other) for one, other in groups if one != other]
    renamed = _renamed(found)
    clients = [_in_group(client, renamed) for client in old.every_client()]
    pairs = _pairs(clients, new.every_client(), (_id, _name, _mac))
    found += [
        Change(None if one is None else old.client(one.name), other) for one, other in pairs if one != other
    ]
    return tuple(found)


def with_group_removed(inventory: Inventory, name: str) -> Change:
    """A group goes, unless clients are in it. Raises UnknownEntry, EntryConflict."""
    group = inventory.group(name)
    members = [client.name for client in inventory.every_client() if client.group == name]
    if members:
        raise EntryConflict(
            Layer.GROUP,
            name,
            words.plural(
                "1 client is in it, {first!r}",
                "{count} clients are in it, {first!r} for one",
                len(members),
                first=members[0],
            ),
            words("Move its clients to another group or remove them first."),
        )
    return Change(group, None)


def _pairs(
    old: Sequence[E], new: Sequence[E], keys: Sequence[Callable[[E], str]]
) -> list[tuple[E | None, E | None]]:
    """Each old entry with what became of it, and what is new, in order of name."""
    left, found = dict.fromkeys(old), dict[E, E]()
    for key in keys:
        had = {key(entry): entry for entry in left if key(entry)}
        for entry in new:
            if entry not in found and (one := had.get(key(entry))) is not None and one in left:
                found[entry] = one
                del left[one]
    gone: list[tuple[E | None, E | None]] = [(entry, None) for entry in left]
    return gone + [(found.get(entry), entry) for entry in new]


def _id(entry: Entry) -> str:
    return entry.id


def _name(entry: Entry) -> str:
    return entry.name


def _mac(client: Client) -> str:
    return client.mac


def _renamed(changes: Iterable[Change]) -> dict[str, str]:
    """What each group that is renamed is called then."""
    return {
        change.before.name: change.after.name
        for change in changes
        if isinstance(change.before, Group) and isinstance(change.after, Group)
    }


def _in_group(client: Client, renamed: Mapping[str, str]) -> Client:
    return replace(client, group=renamed.get(client.group, client.group))


def _changed(kind: type[E], entries: Iterable[E], changes: Sequence[Change]) -> list[E]:
    """All that leave their names do so before anybody takes one."""
    left: dict[str, E] = {entry.name: entry for entry in entries}
    for change in changes:
        if isinstance(change.before, kind):
            del left[change.before.name]
    after: list[Entry | None] = [change.after for change in changes]
    return [*left.values(), *(entry for entry in after if isinstance(entry, kind))]


def _by_name(layer: Layer, entries: Sequence[E]) -> dict[str, E]:
    found: dict[str, E] = {}
    for entry in entries:
        if entry.name in found:
            raise EntryConflict(
                layer, entry.name, words("there is one of that name"), words("Give it another name.")
            )
        found[entry.name] = entry
    return found


def _unique(layer: Layer, entries: Iterable[Entry], what: str) -> None:
    """No two have the same id, address or MAC; who has none has nothing in common with others."""
    owners: dict[str, str] = {}
    for entry in entries:
        value = getattr(entry, what)
        if value and owners.setdefault(value, entry.name) != entry.name:
            raise EntryConflict(
                layer,
                entry.name,
                words("{owner!r} has the same {what}, {value}", owner=owners[value], what=what, value=value),
                words("Change that one first, or send both in one inventory."),
            )


def _check_name(layer: Layer, name: str) -> None:
    """It becomes a directory's name, beside which and in which images are looked for."""
    try:
        checked_component(name)
    except BadName as error:
        raise UnfitEntry(layer, name, error.why) from None
    if name.endswith((*IMAGE_SUFFIXES, *Sidecar)) or name in NOT_IMAGES:
        raise UnfitEntry(layer, name, words("that is what an image or its sidecar is called"))


def _checked_id(layer: Layer, entry: Entry) -> str:
    if entry.id and not _ID.fullmatch(entry.id):
        raise UnfitEntry(layer, entry.name, words("an id is up to 64 visible ASCII characters"))
    return entry.id


def _checked_ip(client: Client) -> str:
    if not client.ip:
        return ""
    try:
        address = ipaddress.ip_address(client.ip)
    except ValueError:
        why = words("{ip!r} is no IP address", ip=client.ip)
        raise UnfitEntry(Layer.CLIENT, client.name, why) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            why = words("{ip!r} holds with one host alone", ip=client.ip)
            raise UnfitEntry(Layer.CLIENT, client.name, why)
        return str(address.ipv4_mapped or address)
    return str(address)


def _checked_mac(client: Client) -> str:
    if not client.mac:
        return ""
    if not _MAC.fullmatch(client.mac.lower()):
        why = words("{mac!r} is no MAC, such as 08:00:27:0e:4c:d1", mac=client.mac)
        raise UnfitEntry(Layer.CLIENT, client.name, why)
    digits = client.mac.lower().replace(":", "").replace("-", "")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
