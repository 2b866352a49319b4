"""Manifests: what an overlay is, told exactly; and whoever wrote one, no path of it leads out."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ogtorrent.errors import CorruptImage, NotLaid, UnfitImage
from ogtorrent.layout import MANIFEST, Layer
from ogtorrent.overlay import manifest
from ogtorrent.overlay.gather import gather
from ogtorrent.overlay.lay import lay
from ogtorrent.overlay.layers import Overlay, merge, read
from ogtorrent.overlay.manifest import LAYING, Kind, decode, encode

DIRECTORY = {"kind": "directory", "mode": 0o755, "uid": 0, "gid": 0, "mtime": 0}
FILE = DIRECTORY | {"kind": "file", "size": 1}


def written(*entries: object, version: object = 1) -> bytes:
    return json.dumps({"ogtorrent overlay": version, "entries": entries}).encode()


def test_what_is_gathered_is_what_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "etc/empty").mkdir(parents=True)
    (tmp_path / "etc/ñ \n").write_text("x")
    (tmp_path / "etc/link").symlink_to("../out of it")
    (tmp_path / "b").hardlink_to(tmp_path / "etc/ñ \n")
    (tmp_path / MANIFEST).write_text("an old one is no part of it")
    found = gather(tmp_path, "x")
    assert [(entry.path, entry.kind, entry.target) for entry in found] == [
        ("b", Kind.FILE, ""),
        ("etc", Kind.DIRECTORY, ""),
        ("etc/empty", Kind.DIRECTORY, ""),
        ("etc/link", Kind.LINK, "../out of it"),
        ("etc/ñ \n", Kind.HARD_LINK, "b"),
    ]
    assert decode(encode(found), "x") == found
    (tmp_path / MANIFEST).write_bytes(encode(found))
    assert read(Layer.GROUP, "aula1", tmp_path).entries == found
    assert decode(encode(()), "x") == () and encode(())


def test_what_an_overlay_may_not_hold_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(UnfitImage, match="'socket' is a device"):
            gather(tmp_path, "x")
    (tmp_path / "socket").unlink()
    (tmp_path / LAYING).touch()
    with pytest.raises(UnfitImage, match=LAYING):
        gather(tmp_path, "x")
    (tmp_path / LAYING).unlink()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).touch()
    with pytest.raises(UnfitImage, match="not UTF-8"):
        gather(tmp_path, "x")


HOSTILE = {
    "absolute": [FILE | {"path": "/etc/passwd"}],
    "up": [FILE | {"path": "../x"}],
    "up inside": [DIRECTORY | {"path": "a"}, FILE | {"path": "a/../../x"}],
    "up as a directory of it": [DIRECTORY | {"path": ".."}, FILE | {"path": "../x"}],
    "dot": [FILE | {"path": "."}],
    "empty": [FILE | {"path": ""}],
    "nul": [FILE | {"path": "a\0b"}],
    "surrogate": [FILE | {"path": "\udcff"}],
    "too long a name": [FILE | {"path": "n" * 256}],
    "too long a path": [FILE | {"path": "/".join(["n" * 200] * 30)}],
    "twice": [FILE | {"path": "a"}, FILE | {"path": "a"}],
    "below a file": [FILE | {"path": "a"}, FILE | {"path": "a/b"}],
    "below a link": [DIRECTORY | {"path": "a", "kind": "link", "target": "/"}, FILE | {"path": "a/b"}],
    "below nothing": [FILE | {"path": "a/b"}],
    "a second name of what is outside": [{"path": "a", "kind": "hard link", "target": "/etc/shadow"}],
    "a second name of a link": [
        DIRECTORY | {"path": "a", "kind": "link", "target": "/etc/shadow"},
        {"path": "b", "kind": "hard link", "target": "a"},
    ],
    "a device": [FILE | {"path": "a", "kind": "device"}],
    "a kind that is a list": [FILE | {"path": "a", "kind": []}],
    "a link to nothing": [DIRECTORY | {"path": "a", "kind": "link", "target": ""}],
    "a mode of too many bits": [FILE | {"path": "a", "mode": 0o100644}],
    "no owner": [FILE | {"path": "a", "uid": 2**32 - 1}],
    "a time of the far future": [FILE | {"path": "a", "mtime": 2**63}],
    "a size that is true": [FILE | {"path": "a", "size": True}],
    "an attribute of the kernel's": [FILE | {"path": "a", "xattrs": {"trusted.overlay.opaque": "eQ=="}}],
    "an attribute that is no base64": [FILE | {"path": "a", "xattrs": {"user.a": "*"}}],
    "the manifest": [FILE | {"path": MANIFEST}],
    "an unfinished name": [FILE | {"path": LAYING}],
    "no entry": ["a"],
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_manifest_is_refused(what: str) -> None:
    with pytest.raises(CorruptImage, match="refused"):
        decode(written(*HOSTILE[what]), "groups/aula1")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"[" * 9999, written(version=2), b"\xff", b'{"entries": 1}']
)
def test_what_is_no_manifest_is_refused(raw: bytes) -> None:
    with pytest.raises(CorruptImage) as refusal:
        decode(raw, "groups/aula1")
    assert refusal.value.exit_code == 33


def test_a_manifest_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "LARGEST", 10)
    with pytest.raises(CorruptImage, match="larger"):
        decode(written(), "x")


PATHS = st.lists(st.sampled_from(["a", "b", "..", ".", "", "link"]), min_size=1, max_size=3).map("/".join)
ENTRIES = st.fixed_dictionaries(
    {"path": PATHS, "kind": st.sampled_from([*Kind, "device"]), "mode": st.sampled_from([0o755, 0o4711, -1])}
    | {key: st.sampled_from([0, 1, 2**40]) for key in ("uid", "gid", "mtime", "size")},
    optional={"target": PATHS | st.just("/"), "xattrs": st.just({"user.a": "YQ=="})},
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ENTRIES, max_size=6))
def test_whatever_a_manifest_says_nothing_is_laid_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, Any]]
) -> None:
    home = tmp_path_factory.mktemp("hostile")
    target, place = home / "target", home / "overlay"
    for directory in (target / "c", place / "a", place / "b"):
        directory.mkdir(parents=True)
    for path in ("a/a", "a/b", "b/a", "link"):
        (place / path).write_text("x")
    try:
        overlay = Overlay(Layer.GROUP, "aula1", place, decode(written(*entries), "x"))
        lay(target, merge([overlay]).laid, False)
    except (CorruptImage, NotLaid):
        pass
    assert {path.name for path in home.iterdir()} == {"target", "overlay"}
    assert not list(target.rglob(LAYING))
