"""What groups and clients lay over an image, from the administrator's folder to the restored file system."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from machines import NETWORK, Seat, Server, image, ogtorrent, until

from ogtorrent.cache import events
from ogtorrent.overlay.gather import gather

pytestmark = pytest.mark.room
WINDOWS = "aula1/windows.img"
LAID = f"groups/aula1/{WINDOWS}"


class Site:
    """A repository of the current layout with groups and clients, and the PCs of the inventory."""

    def __init__(self, repo: Path, serve: Callable[..., Server]) -> None:
        self.repo, self._clients = repo, list[dict[str, str]]()
        for name in ("images", "groups", "clients", ".ogtorrent"):
            (repo / name).mkdir(parents=True)
        image(repo / "images" / WINDOWS, 300_000)
        self.tell()
        self.server = serve(repo)

    def knows(self, name: str, seat: Seat, group: str) -> None:
        """By its address; whatever it calls itself."""
        self._clients = [client for client in self._clients if client["name"] != name]
        self._clients.append({"name": name, "group": group, "ip": seat.address, "mac": ""})
        self.tell()

    def tell(self) -> None:
        groups = sorted({client["group"] for client in self._clients})
        aside = self.repo / ".ogtorrent/inventory.new"
        aside.write_text(json.dumps({"groups": groups, "clients": self._clients}))
        aside.rename(self.repo / ".ogtorrent/inventory.json")

    def lay(self, holder: str, path: str, text: str) -> Path:
        """Into `groups/GROUP` or `clients/CLIENT`."""
        place = self.repo / holder / WINDOWS / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def applying(self, query: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.server.get(f"/overlays/{WINDOWS}?{query}")[1])
        return answer

    def ready(self, client: str, *holders: str) -> list[str]:
        """Wait until these lay something over the image on that PC, published; their info-hashes."""

        def published() -> list[str]:
            told = self.applying(f"client={client}")["overlays"]
            names = [f"{one['layer']}/{one['holder']}" for one in told if one["state"] == "ready"]
            return [one["info_hash"] for one in told] if names == list(holders) else []

        return until(published)

    def update(self, seat: Seat, *options: str) -> Any:
        return seat.update(self.server.address, "windows.img", *options, subdir="/aula1")


@pytest.fixture
def site(tmp_path: Path, serve: Callable[..., Server]) -> Site:
    return Site(tmp_path / "opt/opengnsys/repo", serve)


def overlays(happened: Any) -> dict[str, str]:
    return {event.overlay: event.state for event in happened.events if isinstance(event, events.Overlay)}


def held(pc: Seat) -> list[dict[str, Any]]:
    """What `cache list` tells."""
    told = ogtorrent("cache", "list", "--cache", pc.cache, "--json").stdout
    images: list[dict[str, Any]] = json.loads(told)["images"]
    return images


def applied(target: Path, seat: Seat) -> dict[str, str]:
    """Lay over what the seat's cache has; what a path was."""
    ran = ogtorrent("overlay", "apply", target, "--image", WINDOWS, "--cache", seat.cache, "--json")
    assert ran.returncode == 0, ran.stderr
    return {one["path"]: one["what"] for one in json.loads(ran.stdout)["paths"]}


@pytest.mark.root
def test_two_seats_of_a_room_are_restored_each_with_its_own(
    site: Site, seat: Callable[..., Seat], tmp_path: Path
) -> None:
    one, two = seat(), seat()
    site.knows("pc-1", one, "aula1")
    site.knows("pc-2", two, "aula1")
    shared = site.lay("groups/aula1", "etc/hosts", "the room's")
    shared.chmod(0o640)
    os.chown(shared, 1234, 1235)
    os.setxattr(shared, "user.origin", b"aula1")
    (shared.parent / "mtab").symlink_to("/proc/mounts")
    (shared.parent / "hosts.copy").hardlink_to(shared)
    site.lay("groups/aula1", "etc/hostname", "nobody's").chmod(0o4711)
    site.lay("clients/pc-2", "etc/hostname", "pc-2")
    (site.repo / "clients/pc-2" / WINDOWS / "empty").mkdir()
    site.server.ready(WINDOWS)
    site.ready("pc-2", "groups/aula1", "clients/pc-2")

    assert overlays(site.update(one)) == {LAID: "brought"}
    brought = site.update(two)
    assert brought.done.image == WINDOWS
    assert set(overlays(brought).values()) == {"brought"} and len(overlays(brought)) == 2
    # The page is of images.
    swarms = json.loads(site.server.get("/api/v1/swarms")[1])["swarms"]
    assert [swarm["name"] for swarm in swarms] == [WINDOWS]

    for pc in (one, two):
        target = tmp_path / f"restored-{pc.address}"
        (target / "etc").mkdir(parents=True)
        (target / "etc/hosts").write_text("the image's")
        assert "replaced" in applied(target, pc).values()
        assert set(applied(target, pc).values()) == {"unchanged"}
        found = {entry.path: entry for entry in gather(target, "target")}
        laid = {entry.path: entry for entry in gather(site.repo / "groups/aula1" / WINDOWS, "group")}
        laid |= {
            entry.path: entry for entry in gather(site.repo / "clients/pc-2" / WINDOWS, "client") if pc is two
        }
        assert found == laid
        assert (target / "etc/hosts").read_text() == "the room's"
    assert (target / "etc/hostname").read_text() == "pc-2"

    shown = ogtorrent("overlay", "show", WINDOWS, "--cache", two.cache, "--json")
    same = ogtorrent("overlay", "show", WINDOWS, "--root", site.repo, "--client", "pc-2", "--json")
    assert json.loads(shown.stdout) == json.loads(same.stdout)
    paths = {one["path"]: one for one in json.loads(shown.stdout)["paths"]}
    assert paths["etc/hostname"]["overlay"] == "clients/pc-2"
    assert paths["etc/hostname"]["over"] == ["groups/aula1"]


def test_a_seat_has_what_applies_to_it_now_and_nothing_else(site: Site, seat: Callable[..., Seat]) -> None:
    pc = seat()
    site.knows("pc-1", pc, "aula1")
    hosts = site.lay("groups/aula1", "etc/hosts", "old")
    site.lay("groups/aula2", "etc/hosts", "other room")
    site.server.ready(WINDOWS)
    (before,) = site.ready("pc-1", "groups/aula1")
    site.update(pc)
    pc.stop()
    with pc.seeding():
        until(lambda: {item["image"] for item in held(pc) if item["seeding"]} == {WINDOWS, LAID})
    here = pc.cache / "opt/opengnsys/repo/groups"
    assert (here / "aula1" / WINDOWS / "etc/hosts").read_text() == "old"

    hosts.chmod(0o600)  # no byte of it
    until(lambda: site.ready("pc-1", "groups/aula1") != [before])
    assert overlays(site.update(pc)) == {LAID: "brought"}
    assert overlays(site.update(pc)) == {LAID: "whole"}

    site.knows("pc-1", pc, "aula2")
    assert overlays(site.update(pc)) == {
        f"groups/aula2/{WINDOWS}": "brought", LAID: "removed",
    }  # fmt: skip
    assert not (here / "aula1" / WINDOWS).exists()
    assert [item["image"] for item in held(pc)] == [WINDOWS, f"groups/aula2/{WINDOWS}"]

    shutil.rmtree(site.repo / "groups/aula2")
    until(lambda: not site.applying("client=pc-1")["overlays"])
    assert overlays(site.update(pc)) == {f"groups/aula2/{WINDOWS}": "removed"}


def test_an_overlay_that_fails_loses_neither_image_nor_the_one_before(
    site: Site, seat: Callable[..., Seat]
) -> None:
    pc = seat()
    site.knows("pc-1", pc, "aula1")
    hosts = site.lay("groups/aula1", "etc/hosts", "good")
    site.server.ready(WINDOWS)
    site.ready("pc-1", "groups/aula1")
    site.update(pc)
    os.mkfifo(hosts.with_name("pipe"))
    until(lambda: site.applying("client=pc-1")["overlays"][0]["state"] == "refused")
    failed = site.update(pc)
    assert failed.code == 31 and isinstance(failed.events[-1], events.Failed)
    assert "stands whole" in failed.said and "'etc/pipe' is a device, a pipe or a socket" in failed.said
    kept = pc.cache / "opt/opengnsys/repo/groups/aula1" / WINDOWS
    assert (kept / "etc/hosts").read_text() == "good"
    removed = ogtorrent("cache", "remove", WINDOWS, "--cache", pc.cache)
    assert removed.returncode == 0 and not kept.exists()


def test_who_asks_is_known_by_address_then_by_name(site: Site, seat: Callable[..., Seat]) -> None:
    pc = seat()
    site.knows("pc-1", pc, "aula1")
    site.lay("groups/aula1", "a", "a")
    site.lay("clients/elsewhere", "a", "a")
    site.ready("pc-1", "groups/aula1")
    assert site.applying("name=pc-1")["group"] == "aula1"
    assert site.applying("name=elsewhere")["overlays"][0]["layer"] == "clients"
    assert site.applying("client=..")["overlays"] == site.applying("name=nobody")["overlays"] == []
    assert site.applying("")["client"] is None
    assert site.server.get("/overlays/../x?client=pc-1")[0] in (400, 404)
    assert site.server.get("/layers/images/aula1/windows.img.torrent")[0] == 404
    name = site.applying("name=pc-1")["overlays"][0]["torrent"]
    assert site.server.get(name)[1].startswith(b"d")
    # What calls itself otherwise is what the console says that it is.
    assert overlays(site.update(pc, "--name", "elsewhere")) == {LAID: "brought"}


def test_an_overlay_that_is_being_written_is_not_published(site: Site, seat: Callable[..., Seat]) -> None:
    lock = site.repo / "groups/aula1" / f"{WINDOWS}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    hosts = site.lay("groups/aula1", "etc/hosts", "a")
    site.knows("pc-1", seat(), "aula1")

    def state() -> list[str]:
        return [one["state"] for one in site.applying("client=pc-1")["overlays"]]

    until(lambda: state() == ["locked"])
    lock.unlink()
    with hosts.open("a") as writer:
        until(lambda: state() == ["waiting"])
        writer.write("b")
    site.ready("pc-1", "groups/aula1")


def test_a_trusted_proxy_says_who_asks(
    tmp_path: Path, serve: Callable[..., Server], seat: Callable[..., Seat]
) -> None:
    site = Site(tmp_path / "opt/opengnsys/repo", lambda repo: serve(repo, "--trust-proxy", "127.0.0.1/32"))
    pc = seat()
    site.knows("pc-1", pc, "aula1")
    for proxy, known in (("127.0.0.1", "pc-1"), (f"{NETWORK}.1", None)):
        line = http.client.HTTPConnection(site.server.address, source_address=(proxy, 0))
        line.request("GET", f"/overlays/{WINDOWS}", headers={"X-Forwarded-For": pc.address})
        assert json.loads(line.getresponse().read())["client"] == known
        line.close()


@pytest.mark.root
def test_an_image_never_gives_its_room_to_what_is_laid_over_it(
    site: Site, seat: Callable[..., Seat], tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", small], check=True)
    pc = seat(small)
    try:
        image(site.repo / "images" / WINDOWS, 9 * 1024 * 1024)
        site.knows("pc-1", pc, "aula1")
        site.lay("groups/aula1", "great", "x" * 3 * 1024 * 1024)
        until(lambda: site.server.entry(WINDOWS).get("size") == 9 * 1024 * 1024)
        site.server.ready(WINDOWS)
        site.ready("pc-1", "groups/aula1")
        update = site.update(pc, "--when-full", "evict")
        assert update.code == 31 and "cache is full" in update.said
        assert [item["image"] for item in held(pc) if item["version"]] == [WINDOWS]
    finally:
        pc.stop()
        subprocess.run(["umount", "--lazy", small], check=True)
