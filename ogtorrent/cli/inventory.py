"""`ogtorrent repo group|client`: what the console says over HTTP, said from the shell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from ogtorrent import layout
from ogtorrent.errors import UnknownEntry
from ogtorrent.layout import Layer, Tree
from ogtorrent.repository.inventory import (
    Change,
    Client,
    Entry,
    Group,
    Inventory,
    checked_client,
    with_group_removed,
)
from ogtorrent.repository.kept import Done, Kept
from ogtorrent.words import words

Command = Callable[..., None]


def _options(command: Command) -> Command:
    root = click.option(
        "--root",
        type=click.Path(path_type=Path),
        metavar=words("FOLDER"),
        help=words("The folder that `serve` gets; else the tree of OpenGnsys on this machine."),
    )
    in_json = click.option("--json", "in_json", is_flag=True, help=words("Print JSON, as the API answers."))
    return root(in_json(command))


_address = click.option("--ip", metavar="IP", help=words("Its address."))
_mac = click.option("--mac", metavar="MAC", help=words("The MAC of its network card."))


@click.group(help=words("The groups of clients that the inventory has."))
def group() -> None:
    pass


@click.group(help=words("The clients that the inventory has."))
def client() -> None:
    pass


@group.command("list", help=words("Print every group."))
@_options
def list_groups(root: Path | None, in_json: bool) -> None:
    inventory = _kept(root).read()
    if in_json:
        from ogtorrent.repository.console import forms

        _print_json(forms.Groups([forms.group_told(one) for one in inventory.every_group()]))
        return
    for one in inventory.every_group():
        members = sum(member.group == one.name for member in inventory.clients.values())
        count = words.plural("1 client", "{count} clients", members)
        click.echo(f"{one.name}\t{count}")


@group.command("add", help=words("Add groups."))
@click.argument("names", nargs=-1, required=True, metavar=words("GROUP..."))
@_options
def add_groups(names: Sequence[str], root: Path | None, in_json: bool) -> None:
    _change(root, in_json, lambda old: [Change(None, Group(name)) for name in names])


@group.command("rename", help=words("Give GROUP another name; its clients stay in it."))
@click.argument("name", metavar=words("GROUP"))
@click.argument("new", metavar=words("NEW"))
@_options
def rename_group(name: str, new: str, root: Path | None, in_json: bool) -> None:
    _change(root, in_json, lambda old: _edit(old.group(name), replace(old.group(name), name=new)))


@group.command("remove", help=words("Remove groups without clients. Their overlays are moved aside."))
@click.argument("names", nargs=-1, required=True, metavar=words("GROUP..."))
@_options
def remove_groups(names: Sequence[str], root: Path | None, in_json: bool) -> None:
    _change(root, in_json, lambda old: [with_group_removed(old, name) for name in dict.fromkeys(names)])


@client.command("list", help=words("Print every client."))
@click.option("--group", "of", metavar=words("GROUP"), help=words("Only those of a group."))
@_options
def list_clients(of: str | None, root: Path | None, in_json: bool) -> None:
    inventory = _kept(root).read()
    if of is not None and of not in inventory.groups:
        raise UnknownEntry(Layer.GROUP, of)
    found = [one for one in inventory.every_client() if of is None or one.group == of]
    if in_json:
        from ogtorrent.repository.console import forms

        _print_json(forms.Clients([forms.client_told(one) for one in found]))
        return
    for one in found:
        click.echo("\t".join((one.name, one.group or "-", one.ip or "-", one.mac or "-")))


@client.command("add", help=words("Add CLIENT."))
@click.argument("name", metavar=words("CLIENT"))
@click.option("--group", "of", default="", metavar=words("GROUP"), help=words("The group that it is in."))
@_address
@_mac
@_options
def add_client(name: str, of: str, ip: str | None, mac: str | None, root: Path | None, in_json: bool) -> None:
    added = checked_client(Client(name, of, ip or "", mac or ""))
    _change(root, in_json, lambda old: [Change(None, added)])


@client.command("rename", help=words("Give CLIENT another name."))
@click.argument("name", metavar=words("CLIENT"))
@click.argument("new", metavar=words("NEW"))
@_options
def rename_client(name: str, new: str, root: Path | None, in_json: bool) -> None:
    _change(root, in_json, lambda old: _edit(old.client(name), replace(old.client(name), name=new)))


@client.command("move", help=words("Put clients into GROUP; '' is none."))
@click.argument("names", nargs=-1, required=True, metavar=words("CLIENT..."))
@click.argument("to", metavar=words("GROUP"))
@_options
def move_clients(names: Sequence[str], to: str, root: Path | None, in_json: bool) -> None:
    def decide(old: Inventory) -> Sequence[Change]:
        clients = [old.client(name) for name in dict.fromkeys(names)]
        return [change for one in clients for change in _edit(one, replace(one, group=to))]

    _change(root, in_json, decide)


@client.command("change", help=words("Give CLIENT another address or MAC; '' is none."))
@click.argument("name", metavar=words("CLIENT"))
@_address
@_mac
@_options
def change_client(name: str, ip: str | None, mac: str | None, root: Path | None, in_json: bool) -> None:
    def decide(old: Inventory) -> Sequence[Change]:
        before = old.client(name)
        after = replace(before, ip=before.ip if ip is None else ip, mac=before.mac if mac is None else mac)
        return _edit(before, checked_client(after))

    _change(root, in_json, decide)


@client.command("remove", help=words("Remove clients. Their overlays are moved aside."))
@click.argument("names", nargs=-1, required=True, metavar=words("CLIENT..."))
@_options
def remove_clients(names: Sequence[str], root: Path | None, in_json: bool) -> None:
    _change(root, in_json, lambda old: [Change(old.client(name), None) for name in dict.fromkeys(names)])


def _kept(root: Path | None) -> Kept:
    return Kept(Tree(layout.default_root() if root is None else layout.recognise(root)))


def _edit(before: Entry, after: Entry) -> Sequence[Change]:
    return [] if before == after else [Change(before, after)]


def _change(root: Path | None, in_json: bool, decide: Callable[[Inventory], Sequence[Change]]) -> None:
    done = _kept(root).change(decide, datetime.now())
    if in_json:
        from ogtorrent.repository.console import forms

        _print_json(forms.changes_told(done))
        return
    for one in done:
        click.echo(_told(one))
    if not done:
        click.echo(words("unchanged"))


def _told(done: Done) -> str:
    before, after = done.change.before, done.change.after
    if after is None:
        assert before is not None
        if done.kept is None:
            return words("{name}: removed", name=before.name)
        return words("{name}: removed; its overlays are kept in {place}", name=before.name, place=done.kept)
    if before is None:
        return words("{name}: added", name=after.name)
    if before.name != after.name:
        return words("{name}: is called {new} now", name=before.name, new=after.name)
    return words("{name}: changed", name=after.name)


def _print_json(told: object) -> None:
    import msgspec  # as the server answers; what people read does without it

    click.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
