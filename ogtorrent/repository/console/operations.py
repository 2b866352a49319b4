"""Every operation of the protocol, once: its route and its document are made of the same table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from msgspec import UNSET, Struct

from ogtorrent.errors import BadName, ImageLocked, UnknownImage
from ogtorrent.layout import ImagePath
from ogtorrent.repository import images
from ogtorrent.repository.catalogue import near
from ogtorrent.repository.console import forms
from ogtorrent.repository.inventory import (
    Change,
    Client,
    Group,
    Inventory,
    changes_between,
    checked_client,
    checked_group,
    with_group_removed,
)
from ogtorrent.repository.kept import Decide, Kept
from ogtorrent.repository.publisher import Publisher, State
from ogtorrent.words import words

SMALL, LARGE = 2**16, 2**24  # bytes of a request: one entry, and the whole inventory of a university

E = TypeVar("E", Group, Client)


@dataclass(frozen=True)
class Asked:
    """A request that was let in: the host that it was sent to, the name in its path, and its body."""

    host: str
    name: str = ""
    body: Any = None


class Console:
    """What the operations work on. They raise what `Kept.change` raises, UnknownImage and ImageLocked."""

    def __init__(self, kept: Kept, publisher: Publisher) -> None:
        self._kept, self._publisher = kept, publisher
        self._turn = asyncio.Lock()  # who waits for the inventory holds no thread

    async def inventory(self, asked: Asked) -> forms.InventoryForm:
        return forms.inventory_told(await self._standing())

    async def replace_inventory(self, asked: Asked) -> forms.Changes:
        wanted = forms.inventory_in(asked.body)
        return await self._change(lambda old: changes_between(old, wanted))

    async def groups(self, asked: Asked) -> forms.Groups:
        return forms.Groups(forms.inventory_told(await self._standing()).groups)

    async def group(self, asked: Asked) -> forms.GroupForm:
        return forms.group_told((await self._standing()).group(asked.name))

    async def add_group(self, asked: Asked) -> forms.Changes:
        group = forms.group_of(asked.body)
        return await self._change(lambda old: [Change(None, group)])

    async def change_group(self, asked: Asked) -> forms.Changes:
        def decide(old: Inventory) -> Sequence[Change]:
            before = old.group(asked.name)
            return _change_of(before, checked_group(replace(before, **_given(asked.body))))

        return await self._change(decide)

    async def remove_group(self, asked: Asked) -> forms.Changes:
        return await self._change(lambda old: [with_group_removed(old, asked.name)])

    async def clients(self, asked: Asked) -> forms.Clients:
        return forms.Clients(forms.inventory_told(await self._standing()).clients)

    async def client(self, asked: Asked) -> forms.ClientForm:
        return forms.client_told((await self._standing()).client(asked.name))

    async def add_client(self, asked: Asked) -> forms.Changes:
        client = checked_client(forms.client_of(asked.body))
        return await self._change(lambda old: [Change(None, client)])

    async def change_client(self, asked: Asked) -> forms.Changes:
        def decide(old: Inventory) -> Sequence[Change]:
            before = old.client(asked.name)
            return _change_of(before, checked_client(replace(before, **_given(asked.body))))

        return await self._change(decide)

    async def remove_client(self, asked: Asked) -> forms.Changes:
        return await self._change(lambda old: [Change(old.client(asked.name), None)])

    async def images(self, asked: Asked) -> forms.Images:
        return forms.Images([self._told(image) for image in sorted(self._publisher.catalogue.copy())])

    async def image(self, asked: Asked) -> forms.Image:
        return self._told(self._known(asked))

    async def publish_image(self, asked: Asked) -> forms.Image:
        image = self._known(asked)
        if self._publisher.catalogue[image].state is State.LOCKED:
            raise ImageLocked(str(image), words("its lock stands"))
        await asyncio.to_thread(self._publisher.again, image)
        return self._told(self._known(asked))

    async def change_image(self, asked: Asked) -> forms.Image:
        image = self._known(asked)
        change = images.lock if asked.body.locked else images.unlock
        await asyncio.to_thread(change, self._publisher.root, image)
        return self._told(image)

    async def remove_image(self, asked: Asked) -> forms.Image:
        image = self._known(asked)
        told = self._told(image)
        await asyncio.to_thread(images.remove, self._publisher.root, image)
        self._publisher.forget(image)
        return told

    async def _standing(self) -> Inventory:
        return await asyncio.to_thread(self._kept.read)

    async def _change(self, decide: Decide) -> forms.Changes:
        async with self._turn:
            done = await asyncio.to_thread(self._kept.change, decide, datetime.now())
        return forms.changes_told(done)

    def _known(self, asked: Asked) -> ImagePath:
        """The image in the path. Raises UnknownImage."""
        known = self._publisher.catalogue.copy()
        try:
            image = ImagePath.parse(asked.name)
        except BadName:
            image = None
        if image is None or image not in known:
            raise UnknownImage(asked.name, asked.host, near(asked.name, known))
        return image

    def _told(self, image: ImagePath) -> forms.Image:
        return forms.image_told(
            self._publisher.catalogue[image], images.is_locked(self._publisher.root, image)
        )


def _given(form: Struct) -> dict[str, str]:
    fields = {field: getattr(form, field) for field in form.__struct_fields__}
    return {field: value for field, value in fields.items() if value is not UNSET}


def _change_of(before: E, after: E) -> Sequence[Change]:
    return [] if before == after else [Change(before, after)]


@dataclass(frozen=True)
class Operation:
    """One row of the protocol. `path` is below `/api/v1`; `refusals` are statuses of its own."""

    method: str
    path: str
    work: Callable[[Console, Asked], Awaitable[Struct]]
    summary: str
    answer: type[Struct]
    body: type[Struct] | None = None
    largest: int = SMALL
    status: int = 200
    refusals: tuple[int, ...] = ()


GROUP, CLIENT, IMAGE = "/groups/{name}", "/clients/{name}", "/images/{image}"
OPERATIONS = (
    Operation("GET", "/inventory", Console.inventory, "All groups and clients", forms.InventoryForm),
    Operation(
        "PUT",
        "/inventory",
        Console.replace_inventory,
        "Make the inventory this one; what is in it already is left alone",
        forms.Changes,
        forms.InventoryForm,
        LARGE,
        refusals=(409,),
    ),
    Operation("GET", "/groups", Console.groups, "All groups", forms.Groups),
    Operation(
        "POST",
        "/groups",
        Console.add_group,
        "Add a group",
        forms.Changes,
        forms.GroupForm,
        status=201,
        refusals=(409,),
    ),
    Operation("GET", GROUP, Console.group, "One group", forms.GroupForm, refusals=(404,)),
    Operation(
        "PATCH",
        GROUP,
        Console.change_group,
        "Rename a group; its clients stay in it",
        forms.Changes,
        forms.GroupEdit,
        refusals=(404, 409),
    ),
    Operation(
        "DELETE",
        GROUP,
        Console.remove_group,
        "Remove a group without clients; its overlays are moved aside",
        forms.Changes,
        refusals=(404, 409),
    ),
    Operation("GET", "/clients", Console.clients, "All clients", forms.Clients),
    Operation(
        "POST",
        "/clients",
        Console.add_client,
        "Add a client",
        forms.Changes,
        forms.ClientForm,
        status=201,
        refusals=(409,),
    ),
    Operation("GET", CLIENT, Console.client, "One client", forms.ClientForm, refusals=(404,)),
    Operation(
        "PATCH",
        CLIENT,
        Console.change_client,
        "Rename a client, move it to another group, or give it another address or MAC",
        forms.Changes,
        forms.ClientEdit,
        refusals=(404, 409),
    ),
    Operation(
        "DELETE",
        CLIENT,
        Console.remove_client,
        "Remove a client; its overlays are moved aside",
        forms.Changes,
        refusals=(404,),
    ),
    Operation("GET", "/images", Console.images, "All images and what becomes of them", forms.Images),
    Operation("GET", IMAGE, Console.image, "One image", forms.Image, refusals=(404,)),
    Operation(
        "POST",
        IMAGE,
        Console.publish_image,
        "Hash an image and publish it once more",
        forms.Image,
        status=202,
        refusals=(404, 409),
    ),
    Operation(
        "PATCH",
        IMAGE,
        Console.change_image,
        "Lock or unlock an image",
        forms.Image,
        forms.ImageEdit,
        refusals=(404,),
    ),
    Operation(
        "DELETE",
        IMAGE,
        Console.remove_image,
        "Remove an image and its sidecars for good, unless it is locked or being written",
        forms.Image,
        refusals=(404, 409),
    ),
)
