"""`ogtorrent serve`: rooms and names are those of the inventory, as it stands now."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest
from machines import NETWORK, Server, published, until

from ogtorrent.layout import Layout, Tree, recognise
from ogtorrent.repository.kept import Kept


def known(tree: Tree, **clients: tuple[str, str]) -> None:
    """Write the inventory: name, then group and address."""
    kept = {
        "groups": sorted({group for group, _ in clients.values()}),
        "clients": [{"name": name, "group": group, "ip": ip} for name, (group, ip) in clients.items()],
    }
    tree.home.mkdir(exist_ok=True)
    (tree.home / "new").write_text(json.dumps(kept))
    (tree.home / "new").rename(tree.home / "inventory.json")


@pytest.mark.room
def test_a_change_of_the_inventory_is_on_the_page_at_once(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    images = tmp_path / "repo" / "images"
    published(images / "windows.img", images, 1000)
    tree = Tree(recognise(tmp_path / "repo", Layout.CURRENT))
    first, second = f"{NETWORK}.250", f"{NETWORK}.251"
    known(tree, pc1=("aula1", first), pc2=("aula1", second))
    assert Kept(tree).inventory.client_at(second) is not None
    server = serve(
        tmp_path / "repo", "--layout", "current", "--trust-proxy", "127.0.0.1", "--room", "all=0.0.0.0/0"
    )
    info_hash = quote_from_bytes(server.ready("windows.img").info_hash)

    def shown() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Names and rooms of who is there, and of who is not."""
        told = json.loads(server.get("/api/v1/swarms")[1])
        seats = [seat for swarm in told["swarms"] for seat in swarm["seats"]]
        return [(one["name"], one["room"]) for one in seats], [
            (one["name"], one["room"]) for one in told["unseen"]
        ]

    query = f"info_hash={info_hash}&peer_id={'x' * 20}&port=6881&left=1000&ip={first}"
    server.get(f"/announce?{query}")
    assert shown() == ([("pc1", "aula1")], [("pc2", "aula1")])
    known(tree, pc1=("aula1", second), renamed=("aula2", first))
    until(lambda: shown() == ([("renamed", "aula2")], [("pc1", "aula1")]))
    assert b"renamed" in server.get("/rooms/aula2")[1]
    (tree.home / "inventory.json").unlink()
    until(lambda: shown() == ([("", "all")], []))
