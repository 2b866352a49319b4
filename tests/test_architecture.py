"""DESIGN.md's rooms and the one direction of their imports, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
GROUND = {"errors", "interfaces", "layout", "files", "multicast", "settings", "watch", "words"}
# Who may import what of ogtorrent, besides itself: each room only what lies below it.
BELOW = {
    "": {"cli", "words"},  # ogtorrent/__main__.py
    "cli": {
        "repository",
        "cache",
        "removable",
        "fetch",
        "mounts",
        "offline",
        "opengnsys",
        "overlay",
        "swarm",
        *GROUND,
    },
    "repository": {"removable", "fetch", "mounts", "overlay", "swarm", *GROUND},
    "cache": {"removable", "fetch", "mounts", "offline", "overlay", "swarm", *GROUND},
    "removable": {"swarm", *GROUND},
    "opengnsys": {"mounts", "swarm", *GROUND},
    "fetch": {"swarm", *GROUND},
    "mounts": GROUND,
    "offline": {"mounts", *GROUND},
    "overlay": GROUND,
    "swarm": GROUND,
    "settings": {"errors", "layout", "files", "words"},
    "layout": {"errors", "words"},
    "multicast": {"errors", "words"},
    "interfaces": set(),
    "files": {"errors", "words"},
    "errors": {"words"},
    "watch": set(),
    "words": set(),
}
NO_ROOM_YET = {"utils", "util", "helpers", "common", "core", "manager", "base", "misc"}


def imports(source: str, of: str) -> Iterator[str]:
    """Every module that a source of the module `of` imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{of}: a relative import hides where it leads"
            for name in node.names:
                # `from ogtorrent import layout` names a module, `from ogtorrent.errors import X` does not.
                yield f"{node.module}.{name.name}"


def sources(package: str) -> Iterator[tuple[str, str]]:
    for path in sorted((HERE / package).rglob("*.py")):
        module = ".".join(path.relative_to(HERE).with_suffix("").parts).removesuffix(".__init__")
        yield module, path.read_text()


def every_import(package: str) -> list[tuple[str, str]]:
    found = [(module, name) for module, source in sources(package) for name in imports(source, module)]
    assert len(found) > 20, "nothing was looked at"
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in BELOW else ""


def test_imports_go_one_way() -> None:
    upwards = [
        f"{module} imports {name}"
        for module, name in every_import("ogtorrent")
        if name.startswith("ogtorrent.")
        and room(name)
        and room(name) not in {room(module), *BELOW[room(module)]}
    ]
    assert upwards == []


def test_every_module_stands_in_a_room() -> None:
    known = {"ogtorrent", "ogtorrent.__main__"}
    homeless = [module for module, _ in sources("ogtorrent") if module not in known and not room(module)]
    assert homeless == []


def test_repository_and_cache_never_meet() -> None:
    rooms = {"repository", "cache"}
    meetings = [
        f"{module} imports {name}"
        for module, name in every_import("ogtorrent")
        if room(module) in rooms and name.startswith("ogtorrent.") and room(name) in rooms - {room(module)}
    ]
    assert meetings == []


def test_only_the_swarm_room_knows_libtorrent() -> None:
    strangers = [
        module
        for module, name in every_import("ogtorrent")
        if name.split(".")[0] == "libtorrent" and room(module) != "swarm"
    ]
    assert strangers == []


def test_the_tracker_knows_nothing_of_ogtorrent_nor_libtorrent() -> None:
    met = [
        f"{module} imports {name}"
        for module, name in every_import("tracker")
        if name.split(".")[0] in ("ogtorrent", "libtorrent")
    ]
    assert met == []


def test_ogtorrent_meets_the_tracker_only_at_its_application_and_its_languages() -> None:
    doors = {
        (room(module), name) for module, name in every_import("ogtorrent") if name.split(".")[0] == "tracker"
    }
    # One reader of catalogues, and one way to write sizes and times, for page and terminal.
    assert doors == {
        ("repository", "tracker.server"),
        ("words", "tracker.words.Words"),
        ("words", "tracker.words.language"),
    }


@pytest.mark.parametrize("package", ["ogtorrent", "tracker"])
def test_no_module_has_a_name_that_says_nothing(package: str) -> None:
    assert [module for module, _ in sources(package) if NO_ROOM_YET & set(module.split("."))] == []
