"""Foreign clients in one swarm with ours, both ways, with the `.torrent` that we publish and our tracker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.room import Host, Room

from .laboratory import MEBIBYTE, Repository, Seat, skip_without_room, stand, tree, until, write_random

pytestmark = pytest.mark.room

SINGLE, DIRECTORY = "aula1/windows.img", "aula1/ubuntu"
SIZE = 12 * MEBIBYTE

# Starts a client on a host that has a folder of its own; it saves below `folder/saved`.
Start = Callable[[Host, Path, Path], None]


def ctorrent(host: Host, torrent: Path, folder: Path) -> None:
    _start(host, folder, ["ctorrent", "-b", folder / "bitfield", torrent])


def aria2(host: Host, torrent: Path, folder: Path) -> None:
    # What stands there already is checked, and seeded where it is whole.
    options = ["--no-conf", "--show-console-readout=false", "--check-integrity=true", "--seed-ratio=0.0"]
    _start(host, folder, ["aria2c", *options, torrent])


def transmission(host: Host, torrent: Path, folder: Path) -> None:
    # A torrent that its directory holds already is started with the daemon.
    (folder / "configuration" / "torrents").mkdir(parents=True)
    shutil.copy(torrent, folder / "configuration" / "torrents" / "wanted.torrent")
    settings = {"download-dir": str(folder / "saved")}
    (folder / "configuration" / "settings.json").write_text(json.dumps(settings))
    _start(host, folder, ["transmission-daemon", "--foreground", "--config-dir", folder / "configuration"])


def qbittorrent(host: Host, torrent: Path, folder: Path) -> None:
    configuration = folder / "qBittorrent" / "config" / "qBittorrent.conf"
    configuration.parent.mkdir(parents=True)
    # Else it prints its legal notice and waits for a key.
    configuration.write_text("[LegalNotice]\nAccepted=true\n")
    options = [f"--profile={folder}", f"--save-path={folder / 'saved'}", "--skip-dialog=true"]
    _start(host, folder, ["qbittorrent-nox", *options, torrent])


def stock_libtorrent(host: Host, torrent: Path, folder: Path) -> None:
    program = Path(__file__).with_name("stock_seed.py")
    _start(host, folder, [sys.executable, program, torrent, folder / "saved"])


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(
        curl="curl",
        ctorrent="ctorrent",
        aria2c="aria2",
        **{"transmission-daemon": "transmission-daemon", "qbittorrent-nox": "qbittorrent-nox"},
    )


@pytest.mark.parametrize(
    ("image", "clients"),
    [(SINGLE, [ctorrent, aria2, transmission, qbittorrent]), (DIRECTORY, [ctorrent, aria2, transmission])],
    ids=["file", "directory"],
)
def test_foreign_clients_leech_with_our_seats(tmp_path: Path, image: str, clients: list[Start]) -> None:
    with Room(seats=len(clients) + 2) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_image(repository.images / image)
        repository.publish(image)
        repository.serve()
        info_hash = repository.until_ready(image)

        room.repository.set_rate(2)
        folders = {client: tmp_path / client.__name__ for client in clients}
        for host, (client, folder) in zip(room.seats, folders.items(), strict=False):
            (folder / "saved").mkdir(parents=True)
            client(host, repository.torrent(image), folder)
        seats = [Seat.make(host, tmp_path) for host in room.seats[-2:]]
        updates = [seat.update(repository, image) for seat in seats]

        # Our tracker introduces all to each other while nobody has the whole yet.
        everybody = {host.address: "leeching" for host in room.seats}
        until(lambda: repository.clients(info_hash).keys() == everybody.keys(), "all are in the swarm")
        assert repository.clients(info_hash) == everybody
        room.repository.set_rate(None)

        for seat, update in zip(seats, updates, strict=True):
            update.succeeds()
            assert stand(seat.place(image), digest), seat.host.name
        for client, folder in folders.items():
            saved = folder / "saved" / "images" / image
            until(
                lambda saved=saved: stand(saved, digest),
                f"{client.__name__} has the image",
                seconds=120,
                log=folder / "log",
            )


@pytest.mark.parametrize("image", [SINGLE, DIRECTORY], ids=["file", "directory"])
@pytest.mark.parametrize("client", [aria2, stock_libtorrent], ids=["aria2", "libtorrent"])
def test_our_seat_fills_from_a_foreign_seed_alone(tmp_path: Path, client: Start, image: str) -> None:
    with Room(seats=2) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_image(repository.images / image)
        repository.publish(image)
        repository.cut_off_seed()
        repository.serve()
        info_hash = repository.until_ready(image)

        foreign, ours = room.seats
        folder = tmp_path / client.__name__
        place = folder / "saved" / "images" / image
        place.parent.mkdir(parents=True)
        copy = shutil.copytree if place.suffix != ".img" else shutil.copy
        copy(repository.images / image, place)
        client(foreign, repository.torrent(image), folder)
        until(
            lambda: repository.clients(info_hash) == {foreign.address: "seeding"},
            f"{client.__name__} seeds",
            log=folder / "log",
        )

        seat = Seat.make(ours, tmp_path)
        done = seat.update(repository, image).succeeds()

        assert stand(seat.place(image), digest)
        assert (done["from_repository"], done["from_seats"]) == (0, done["fetched"])
        assert done["fetched"] >= done["size"]


def write_image(place: Path) -> str | dict[str, str]:
    """An image of one file, or a directory as Clonezilla writes them; its digest or digests."""
    if place.suffix == ".img":
        return write_random(place, SIZE, seed=1)
    write_random(place / "clonezilla-img", 1000, seed=2)
    write_random(place / "sda1.ext4-ptcl-img.gz.aa", SIZE // 2, seed=3)
    write_random(place / "sda1.ext4-ptcl-img.gz.ab", SIZE // 2 - 12345, seed=4)
    write_random(place / "below" / "one byte", 1, seed=5)
    return tree(place)


def _start(host: Host, folder: Path, argv: list[str | Path]) -> None:
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, "HOME": str(folder)}
        host.popen(argv, cwd=folder / "saved", env=environment, stdout=log, stderr=subprocess.STDOUT)
