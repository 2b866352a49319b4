"""Groups and clients: what becomes of them, and of their directories, wherever it is cut."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import killed_at

from ogtorrent.errors import EntryConflict, NotWritable, UnfitEntry, UnfitInventory, UnknownEntry
from ogtorrent.layout import Layer, Tree, recognise
from ogtorrent.repository.inventory import (
    Change,
    Client,
    Group,
    Inventory,
    applied,
    changes_between,
    inventory_of,
    with_group_removed,
)
from ogtorrent.repository.kept import Done, Kept

NOW = datetime(2026, 9, 21, 14, 30)

names = st.sampled_from(["a", "b", "c", "d"])
ids = st.sampled_from(["", "1", "2", "3", "4"])


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Small ones over the same few names, ids and MACs, so that they meet."""

    def known(values: Sequence[str]) -> list[str]:
        return [value for value in values if value]

    called = draw(st.lists(names, unique=True))
    keys = draw(st.lists(ids, min_size=len(called), max_size=len(called)))
    groups = [
        Group(name, key if keys.count(key) == 1 else "") for name, key in zip(called, keys, strict=True)
    ]
    called = draw(st.lists(names, unique=True))
    keys = draw(st.lists(ids, min_size=len(called), max_size=len(called)))
    cards = draw(st.lists(ids, min_size=len(called), max_size=len(called)))
    clients = [
        Client(
            name,
            draw(st.sampled_from(["", *(group.name for group in groups)])),
            mac=f"02000000000{card}" if card and cards.count(card) == 1 else "",
            id=key if keys.count(key) == 1 else "",
        )
        for name, key, card in zip(called, keys, cards, strict=True)
    ]
    return inventory_of(groups, clients)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return made(tmp_path)


def made(above: Path) -> Tree:
    top = above / "opengnsys" / "repo"
    (top / "images").mkdir(parents=True)
    (top / "groups").mkdir()
    (top / "clients").mkdir()
    return Tree(recognise(top))


def put(tree: Tree, wanted: Inventory) -> list[Done]:
    return Kept(tree).change(lambda old: changes_between(old, wanted), NOW)


def overlay(tree: Tree, layer: Layer, name: str, token: str) -> None:
    place = tree.top / layer / name / "windows.img" / "etc"
    place.mkdir(parents=True, exist_ok=True)
    (place / token).write_text(token)


def overlays(tree: Tree) -> dict[str, str]:
    """Every file of every overlay, and below which directory it is."""
    found = [path for layer in Layer for path in (tree.top / layer).rglob("*") if path.is_file()]
    assert len({path.name for path in found}) == len(found), "a file is there twice"
    return {path.name: str(path.relative_to(tree.top).parents[2]) for path in found}


def in_step(tree: Tree) -> bool:
    """Whether there is a directory for each group and client, none else, and nothing on its way."""
    kept = Kept(tree).read()
    standing = {layer: {path.name for path in (tree.top / layer).iterdir()} - {".removed"} for layer in Layer}
    own = {path.name for path in tree.home.glob("*")}
    return own <= {"inventory.json"} and standing == {
        Layer.GROUP: set(kept.groups),
        Layer.CLIENT: set(kept.clients),
    }


OLD = inventory_of(
    [Group("a", "1"), Group("b", "2"), Group("empty", "3"), Group("gone", "4")],
    [Client("pc1", "a", mac="020000000001"), Client("pc2", "gone", "10.1.0.2")],
)
# Names that go in a circle, one that is taken over from who goes, and every other thing that can happen.
NEW = inventory_of(
    [Group("b", "1"), Group("a", "2"), Group("new", "5")],
    [Client("pc2", "b", mac="020000000001"), Client("pc3", "new")],
)


def filled(tree: Tree) -> None:
    put(tree, OLD)
    for layer, name in [(Layer.GROUP, one) for one in ("a", "b", "gone")] + [(Layer.CLIENT, "pc2")]:
        overlay(tree, layer, name, f"{layer}-{name}")
    overlay(tree, Layer.CLIENT, "pc1", "clients-pc1")


def test_one_inventory_becomes_another_in_one_step_and_its_overlays_follow(tree: Tree) -> None:
    filled(tree)
    # pc2 keeps its name: a MAC says only whose a new name is.
    done = put(tree, NEW)
    assert in_step(tree) and Kept(tree).inventory == NEW
    assert overlays(tree) == {
        "groups-a": "groups/b",
        "groups-b": "groups/a",
        "groups-gone": "groups/.removed/gone.20260921-143000",
        "clients-pc1": "clients/.removed/pc1.20260921-143000",
        "clients-pc2": "clients/pc2",
    }
    kept = {one.change.before.name: one.kept for one in done if one.change.before and not one.change.after}
    assert kept == {
        "empty": None,
        "gone": tree.top / "groups" / ".removed" / "gone.20260921-143000",
        "pc1": tree.top / "clients" / ".removed" / "pc1.20260921-143000",
    }
    assert put(tree, NEW) == []
    overlay(tree, Layer.GROUP, "new", "again")
    put(tree, replace(NEW, groups=NEW.groups))
    assert overlays(tree)["again"] == "groups/new"


@pytest.mark.room
def test_a_kill_at_any_step_leaves_the_one_state_or_the_other(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole")
    filled(whole)
    state = {False: overlays(whole)}
    put(whole, NEW)
    state[True] = overlays(whole)
    states = set()
    for step in range(100):
        tree = made(tmp_path / str(step))
        filled(tree)
        killed = killed_at(step, lambda tree=tree: put(tree, NEW))  # type: ignore[misc]
        Kept(tree).finish()
        is_new = Kept(tree).read() == NEW
        states.add(is_new)
        assert in_step(tree) and (is_new or Kept(tree).read() == OLD), step
        assert overlays(tree) == state[is_new], step
        if not killed:
            break
        put(tree, NEW)
        assert in_step(tree) and Kept(tree).read() == NEW and overlays(tree) == state[True], step
    assert step > 15 and states == {True, False}


def test_a_directory_that_somebody_made_meanwhile_is_in_nobodys_way(tree: Tree) -> None:
    put(tree, inventory_of([Group("a", "1")], []))
    overlay(tree, Layer.GROUP, "a", "file")
    renamed = inventory_of([Group("b", "1")], [])
    assert killed_at(4, lambda: put(tree, renamed))
    (tree.top / "groups" / "a").mkdir()  # it has stepped aside
    put(tree, renamed)
    assert overlays(tree) == {"file": "groups/b"} and Kept(tree).read() == renamed


@pytest.mark.room
@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(inventories(), st.none() | st.integers(0, 30)), max_size=6), st.data())
def test_any_changes_cut_anywhere_lose_no_overlay(
    steps: list[tuple[Inventory, int | None]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as place:
        tree = made(Path(place))
        planted = set()
        for number, (wanted, cut) in enumerate(steps):
            if cut is None:
                put(tree, wanted)
            else:
                killed_at(cut, lambda wanted=wanted: put(tree, wanted))  # type: ignore[misc]
                # Whoever finishes it may be cut as well.
                while data.draw(st.booleans()):
                    killed_at(data.draw(st.integers(0, 12)), Kept(tree).finish)
            Kept(tree).finish()
            assert overlays(tree).keys() == planted and in_step(tree)
            assert cut is not None or Kept(tree).read() == wanted
            for layer in Layer:
                standing = sorted(Kept(tree).read().names(layer))
                if standing and data.draw(st.booleans()):
                    planted.add(f"{layer}{number}")
                    overlay(tree, layer, data.draw(st.sampled_from(standing)), f"{layer}{number}")


@given(inventories(), inventories())
def test_the_changes_between_two_inventories_make_the_one_of_the_other(
    old: Inventory, new: Inventory
) -> None:
    changes = changes_between(old, new)
    assert applied(old, changes) == new
    assert changes_between(new, new) == ()


@pytest.mark.parametrize(
    ("before", "after", "renamed"),
    [
        (Client("pc1", id="7"), Client("pc9", id="7"), True),
        (Client("pc1", mac="020000000001"), Client("pc9", mac="02-00-00-00-00-01"), True),
        (Client("pc1", ip="10.1.0.1"), Client("pc9", ip="10.1.0.1"), False),  # DHCP gives it to anybody
        (Group("a", "1"), Group("b", "1"), True),
        (Group("a"), Group("b"), False),
    ],
)
def test_a_rename_is_known_by_the_id_or_the_mac(
    tree: Tree, before: Client | Group, after: Client | Group, renamed: bool
) -> None:
    def of(entry: Client | Group) -> Inventory:
        return inventory_of([entry], []) if isinstance(entry, Group) else inventory_of([], [entry])

    (new,) = put(tree, of(before))
    overlay(tree, new.change.layer, before.name, "file")
    assert len(put(tree, of(after))) == (1 if renamed else 2)
    stands = overlays(tree)["file"] == f"{new.change.layer}/{after.name}"
    assert stands is renamed and in_step(tree)


def test_clients_that_exchange_names_exchange_directories(tree: Tree) -> None:
    put(tree, inventory_of([], [Client("pc1", id="1"), Client("pc2", id="2")]))
    overlay(tree, Layer.CLIENT, "pc1", "file")
    put(tree, inventory_of([], [Client("pc2", id="1"), Client("pc1", id="2")]))
    assert overlays(tree) == {"file": "clients/pc2"} and in_step(tree)


def test_other_ids_for_the_same_names_move_nothing(tree: Tree) -> None:
    put(tree, inventory_of([Group("a", "1"), Group("b", "2")], []))
    overlay(tree, Layer.GROUP, "a", "file")
    put(tree, inventory_of([Group("a", "101"), Group("b", "102")], []))
    assert overlays(tree) == {"file": "groups/a"} and in_step(tree)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Client(".."), "no names"),
        (Client("a/b"), "no slash"),
        (Client(".hidden"), "begin with a dot"),
        (Client("a\nb"), "control characters"),
        (Client("ñ" * 116), "bytes long"),
        (Client("windows.img"), "an image or its sidecar"),
        (Client("pc", ip="10.1.0"), "no IP address"),
        (Client("pc", ip="fe80::1%eth0"), "one host alone"),
        (Client("pc", mac="02:00:00-00:00:01"), "no MAC"),
        (Client("pc", mac="0200000000011"), "no MAC"),
        (Client("pc", id="a b"), "an id is"),
        (Group("../../etc"), "no slash"),
        (Group("x.torrent"), "an image or its sidecar"),
        (Group("lost+found"), "an image or its sidecar"),
    ],
)
def test_what_can_be_no_group_or_client_is_refused_in_words(
    tree: Tree, entry: Client | Group, said: str
) -> None:
    with pytest.raises(UnfitEntry, match=said):
        Kept(tree).change(lambda old: [Change(None, entry)], NOW)
    assert not (tree.home / "inventory.json").exists()


def test_addresses_are_written_in_one_way() -> None:
    kept = inventory_of([], [Client("pc", ip="::ffff:10.1.0.9", mac="02000000AB0F")])
    assert kept.client_at("10.1.0.9") == Client("pc", ip="10.1.0.9", mac="02:00:00:00:ab:0f")


def test_what_cannot_be_beside_the_others_changes_nothing(tree: Tree) -> None:
    put(tree, OLD)
    kept = Kept(tree)

    def refused(decide: Callable[[Inventory], Sequence[Change]], said: str) -> None:
        with pytest.raises((EntryConflict, UnknownEntry), match=said):
            kept.change(decide, NOW)
        assert kept.inventory == OLD and in_step(tree)

    refused(lambda old: [Change(None, Group("a"))], "one of that name")
    refused(lambda old: [Change(None, Client("pc9", ip="10.1.0.2"))], "'pc2' has the same ip")
    refused(lambda old: [Change(None, Client("pc9", mac="020000000001"))], "'pc1' has the same mac")
    refused(lambda old: [Change(None, Client("pc9", "nowhere"))], "no group 'nowhere'")
    refused(lambda old: [with_group_removed(old, "gone")], "1 client is in it, 'pc2'")
    refused(lambda old: [Change(old.client("pc9"), None)], "'pc9' is not in the inventory")


def test_a_directory_that_is_nobodys_is_taken_by_who_is_new_and_never_written_over(tree: Tree) -> None:
    overlay(tree, Layer.GROUP, "a", "found")
    put(tree, inventory_of([Group("a", "1"), Group("b", "2")], []))
    assert in_step(tree)
    overlay(tree, Layer.GROUP, "b", "own")
    overlay(tree, Layer.GROUP, "c", "nobodys")
    with pytest.raises(EntryConflict, match="groups/c stands already"):
        put(tree, inventory_of([Group("a", "1"), Group("c", "2")], []))
    assert overlays(tree) == {"found": "groups/a", "own": "groups/b", "nobodys": "groups/c"}
    assert Kept(tree).read().groups == {"a", "b"}


def test_a_damaged_inventory_is_told_and_never_written_over(tree: Tree) -> None:
    put(tree, OLD)
    kept = Kept(tree)
    assert kept.inventory == OLD
    (tree.home / "inventory.json").write_text('{"groups": ["a", "a"], "clients": []}')
    with pytest.raises(UnfitInventory, match=r"inventory\.json cannot be read"):
        put(tree, NEW)
    assert kept.inventory == OLD  # the rooms stay as they were


def test_a_directory_that_will_not_move_leaves_all_where_they_were(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tree)
    before, rename = overlays(tree), Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == "gone":
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing)
        with pytest.raises(NotWritable, match="groups/gone"):
            put(tree, NEW)
    assert overlays(tree) == before and in_step(tree) and Kept(tree).read() == OLD
    put(tree, NEW)
    assert in_step(tree)


def test_a_tree_without_overlays_has_an_inventory_all_the_same(tmp_path: Path) -> None:
    tree = Tree(recognise(tmp_path))
    put(tree, OLD)
    assert Kept(tree).inventory == OLD
    assert [path.name for path in tmp_path.iterdir()] == [".ogtorrent"]


def test_a_tree_that_moves_to_the_current_layout_takes_its_inventory_along(tmp_path: Path) -> None:
    legacy, current = tmp_path / "opengnsys" / "images", tmp_path / "opengnsys" / "repo" / "images"
    legacy.mkdir(parents=True)
    put(Tree(recognise(legacy)), OLD)
    current.parent.mkdir()
    legacy.rename(current)
    tree = Tree(recognise(current.parent))
    Kept(tree).finish()
    assert Kept(tree).inventory == OLD and in_step(tree)


def test_commands_at_once_lose_nothing_of_each_other(tree: Tree) -> None:
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            for count in range(5):
                Kept(tree).change(lambda old: [Change(None, Group(f"g{number}-{count}"))], NOW)  # noqa: B023
            os._exit(0)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 8
    assert len(Kept(tree).read().groups) == 40 and in_step(tree)
    json.loads((tree.home / "inventory.json").read_text())
