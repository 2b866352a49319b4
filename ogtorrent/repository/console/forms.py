"""What is sent and answered. Of these types both the validation and the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ogtorrent.repository.inventory import Client, Group, Inventory, inventory_of
from ogtorrent.repository.kept import Done
from ogtorrent.repository.publisher import Entry, State

_NAME = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
_HEX = "[0-9A-Fa-f]{2}"
_MAC = f"[0-9A-Fa-f]{{12}}|{_HEX}(:{_HEX}){{5}}|{_HEX}(-{_HEX}){{5}}"
_ADDRESS = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, {"const": ""}]}

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=230,
        pattern=f"^{_NAME}$",
        description="A directory is called so: no slash, no leading dot, at most 230 bytes of UTF-8, and not "
        "what an image or its sidecar is called.",
    ),
]
GroupName = Annotated[
    str,
    Meta(
        max_length=230,
        pattern=f"^({_NAME})?$",
        description="A group of the inventory; empty for a client that is in none.",
    ),
]
Key = Annotated[
    str,
    Meta(
        max_length=64,
        pattern="^[!-~]*$",
        description="The console's own key, by which a rename is known as one; empty where it sends none.",
    ),
]
Address = Annotated[
    str, Meta(max_length=45, extra_json_schema=_ADDRESS, description="IPv4 or IPv6; empty where unknown.")
]
Mac = Annotated[
    str,
    Meta(
        max_length=17,
        pattern=f"^({_MAC})?$",
        description="With colons, dashes or neither; answered with colons. Empty where unknown.",
    ),
]


class GroupForm(Struct, forbid_unknown_fields=True):
    name: Name
    id: Key = ""


class ClientForm(Struct, forbid_unknown_fields=True):
    name: Name
    group: GroupName = ""
    ip: Address = ""
    mac: Mac = ""
    id: Key = ""


class GroupEdit(Struct, forbid_unknown_fields=True):
    """What is not there stays."""

    name: Name | UnsetType = UNSET
    id: Key | UnsetType = UNSET


class ClientEdit(Struct, forbid_unknown_fields=True):
    """What is not there stays."""

    name: Name | UnsetType = UNSET
    group: GroupName | UnsetType = UNSET
    ip: Address | UnsetType = UNSET
    mac: Mac | UnsetType = UNSET
    id: Key | UnsetType = UNSET


class InventoryForm(Struct, forbid_unknown_fields=True):
    groups: list[GroupForm]
    clients: list[ClientForm]


class Groups(Struct):
    groups: list[GroupForm]


class Clients(Struct):
    clients: list[ClientForm]


class GroupChange(Struct):
    """Without `before` it is new, without `after` it was removed."""

    before: GroupForm | None
    after: GroupForm | None
    kept: Annotated[str | None, Meta(description="Where on the server the overlays of one removed are.")]


class ClientChange(Struct):
    """Without `before` it is new, without `after` it was removed."""

    before: ClientForm | None
    after: ClientForm | None
    kept: Annotated[str | None, Meta(description="Where on the server the overlays of one removed are.")]


class Changes(Struct):
    """What an operation changed; nothing where all was so already."""

    groups: list[GroupChange]
    clients: list[ClientChange]


class ImageEdit(Struct, forbid_unknown_fields=True):
    locked: bool


class Image(Struct):
    image: Annotated[str, Meta(description="Its path below the repository's images.")]
    state: State
    size: Annotated[int, Meta(description="Bytes.")]
    hashed: Annotated[int, Meta(description="Bytes that are hashed so far.")]
    why: Annotated[str, Meta(description="Why it is refused; else empty.")]
    info_hash: Annotated[str | None, Meta(description="40 hexadecimal digits, once it is published.")]
    locked: Annotated[bool, Meta(description="Whether its `.lock` stands.")]


class Images(Struct):
    images: list[Image]


class Problem(Struct):
    error: Annotated[str, Meta(description="What is wrong, and what to do.")]


def inventory_told(inventory: Inventory) -> InventoryForm:
    return InventoryForm(
        [group_told(group) for group in inventory.every_group()],
        [client_told(client) for client in inventory.every_client()],
    )


def group_told(group: Group) -> GroupForm:
    return GroupForm(group.name, group.id)


def client_told(client: Client) -> ClientForm:
    return ClientForm(client.name, client.group, client.ip, client.mac, client.id)


def changes_told(done: Iterable[Done]) -> Changes:
    told = Changes([], [])
    for one in done:
        before, after = one.change.before, one.change.after
        kept = str(one.kept) if one.kept is not None else None
        if isinstance(after or before, Group):
            told.groups.append(GroupChange(_group(before), _group(after), kept))
        else:
            told.clients.append(ClientChange(_client(before), _client(after), kept))
    return told


def image_told(entry: Entry, locked: bool) -> Image:
    info_hash = entry.metainfo.info_hash.hex() if entry.metainfo is not None else None
    return Image(str(entry.image), entry.state, entry.size, entry.hashed, entry.why, info_hash, locked)


def group_of(form: GroupForm) -> Group:
    return Group(form.name, form.id)


def client_of(form: ClientForm) -> Client:
    return Client(form.name, form.group, form.ip, form.mac, form.id)


def inventory_in(form: InventoryForm) -> Inventory:
    """Raises UnfitEntry, EntryConflict."""
    return inventory_of(map(group_of, form.groups), map(client_of, form.clients))


def _group(entry: Group | Client | None) -> GroupForm | None:
    return group_told(entry) if isinstance(entry, Group) else None


def _client(entry: Group | Client | None) -> ClientForm | None:
    return client_told(entry) if isinstance(entry, Client) else None
