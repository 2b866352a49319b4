"""A site of OpenGnsys that moves one room at a time: its own seats and new ones in one swarm, both ways.

An old seat is `ctorrent` as ogTorrentStart calls it, in the cache, on the `.torrent` that it has copied there
from the mounted repository; a new one runs the updateCache that `opengnsys install` put in place.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.room import Host, Room
from ogtorrent.swarm import metainfo

from .laboratory import (
    MEBIBYTE,
    OGTORRENT,
    PROJECT,
    TRACKER_PORT,
    Repository,
    skip_without_room,
    stand,
    until,
    write_random,
)

pytestmark = pytest.mark.room

IMAGE = "aula1/windows.img"
SIZE = 24 * MEBIBYTE


@dataclass
class Seat:
    """A PC of OpenGnsys: what it has below /opt/opengnsys, its cache among it."""

    host: Host
    opengnsys: Path

    @classmethod
    def make(cls, host: Host, folder: Path) -> Seat:
        seat = cls(host, folder / host.name / "opengnsys")
        for name in ("images", "cache", "scripts", "bin"):
            (seat.opengnsys / name).mkdir(parents=True)
        return seat

    @property
    def place(self) -> Path:
        return self.opengnsys / "cache" / "opt" / "opengnsys" / "images" / IMAGE

    @property
    def log(self) -> Path:
        return self.opengnsys / "session.log"

    def ctorrent(self, torrent: Path) -> None:
        """ogTorrentStart of a peer, but without the end, when it kills every ctorrent of the machine."""
        self.place.parent.mkdir(parents=True, exist_ok=True)
        own = self.place.with_name(f"{self.place.name}.torrent")
        shutil.copy(torrent, own)
        own.with_name(f"{own.name}.bf").touch()
        call = ["ctorrent", "-f", "-c", "-X", "sleep 600", "-C", "100", own]
        call += ["-s", self.place, "-b", f"{own}.bfog"]
        with self.log.open("wb") as log:
            self.host.popen(call, cwd=own.parent, stdout=log, stderr=subprocess.STDOUT)

    def update_cache(self, installed: Path, repository: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """Run the installed updateCache, with the repository mounted and the cache, as oglive has them.

        This kernel has no client of NFS or Samba: what is mounted is a copy, from a device of that name.
        """
        shutil.copy(installed, self.opengnsys / "scripts" / "updateCache")
        program = self.opengnsys / "bin" / "ogtorrent"
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*OGTORRENT])} "$@"\n')
        program.chmod(0o755)
        mounted = [
            f"mount --bind {self.opengnsys}/cache {self.opengnsys}/cache",
            f"mount -t tmpfs //{REPOSITORY}/ogimages {self.opengnsys}/images",
            f"cp -a {repository}/. {self.opengnsys}/images",
            shlex.join(["exec", "updateCache", *arguments]),
        ]
        environment = {
            "OPENGNSYS": str(self.opengnsys),
            "OGENGINECONFIGURATE": "TRUE",
            "OGLOGSESSION": str(self.log),
            "OGLOGCOMMAND": str(self.opengnsys / "command.log"),
            "PATH": f"{self.opengnsys}/scripts:{self.opengnsys}/bin:{os.environ['PATH']}",
        }
        call = ["unshare", "--mount", "--propagation", "private", "bash", "-ec", "\n".join(mounted)]
        return self.host.popen(call, cwd="/", env=environment, stdout=subprocess.DEVNULL)


REPOSITORY = "10.99.0.1"


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(
        curl="curl", ctorrent="ctorrent", opentracker="opentracker", **{"udp-sender": "udpcast"}
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Our updateCache, where OpenGnsys had its own."""
    original = tmp_path / "server" / "client" / "scripts" / "updateCache"
    original.parent.mkdir(parents=True)
    original.write_text("#!/bin/bash\nexit 99\n")
    original.chmod(0o755)
    subprocess.run(
        [sys.executable, "-m", "ogtorrent", "opengnsys", "install", "--prefix", tmp_path / "server"],
        cwd=PROJECT,
        check=True,
    )
    return original


def test_old_seats_and_new_ones_fill_in_one_swarm(tmp_path: Path, installed: Path) -> None:
    with Room(seats=4) as room:
        repository = Repository(room.repository, tmp_path / "opengnsys")
        digest = write_random(repository.images / IMAGE, SIZE, seed=1)
        repository.serve("--single-file")
        info_hash = repository.until_ready(IMAGE)

        room.repository.set_rate(8)
        old, new = (
            [Seat.make(host, tmp_path) for host in hosts] for hosts in (room.seats[:2], room.seats[2:])
        )
        for seat in old:
            seat.ctorrent(repository.torrent(IMAGE))
        call = ["REPO", f"/{IMAGE}", "TORRENT", "peer:600"]
        updates = [seat.update_cache(installed, repository.images, *call) for seat in new]

        everybody = {host.address: "leeching" for host in room.seats}
        until(lambda: repository.clients(info_hash) == everybody, "all are in the swarm")
        room.repository.set_rate(None)

        for seat, update in zip(new, updates, strict=True):
            assert update.wait(120) == 0, seat.log.read_text()
        for seat in old + new:
            until(lambda seat=seat: stand(seat.place, digest), seat.host.name, 120, seat.log)


def test_a_new_seat_fills_from_opengnsys_own_repository(tmp_path: Path, installed: Path) -> None:
    with Room(seats=2) as room:
        images = tmp_path / "repository" / "images"
        digest = write_random(images / IMAGE, SIZE, seed=2)
        torrent_creator(room.repository, images)
        track(room.repository, images, tmp_path)
        with (tmp_path / "seed.log").open("wb") as log:
            seed = ["ctorrent", "-f", f"{IMAGE}.torrent", "-s", IMAGE]
            room.repository.popen(seed, cwd=images, stdout=log, stderr=log)

        first, second = (Seat.make(host, tmp_path) for host in room.seats)
        first.ctorrent(images / f"{IMAGE}.torrent")
        call = ["REPO", f"/{IMAGE}", "TORRENT", "peer:600"]
        update = second.update_cache(installed, images, *call)

        assert update.wait(180) == 0, second.log.read_text()
        assert stand(second.place, digest)
        until(lambda: stand(first.place, digest), "the old seat has it", 120, first.log)
        # It is known for what it is: the second time nothing is fetched, nor read.
        again = second.update_cache(installed, images, *call)
        assert again.wait(60) == 0
        assert "nothing to fetch" in second.log.read_text()
        beside = second.place.with_name(f"{second.place.name}.full.sum").read_text()
        assert beside == (images / f"{IMAGE}.full.sum").read_text()


def test_send_file_mcast_reaches_opengnsys_own_receivers(tmp_path: Path) -> None:
    with Room(seats=2) as room:
        prefix = tmp_path / "opengnsys"
        command = prefix / "bin" / "sendFileMcast"
        command.parent.mkdir(parents=True)
        command.write_text("#!/bin/bash\n")
        command.chmod(0o755)
        (prefix / "etc").mkdir()
        (prefix / "etc" / "ogAdmRepo.cfg").write_text(f"IPlocal={REPOSITORY}\n")
        digest = write_random(prefix / "images" / IMAGE, SIZE, seed=3)
        room.repository.run([*OGTORRENT, "opengnsys", "install", "--prefix", prefix])

        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        call = [command, IMAGE, "9000:full:239.194.17.2:90m:2:60"]
        with (tmp_path / "sender.log").open("wb") as log:
            sending = room.repository.popen(call, env=environment, stdout=log, stderr=log)
        # As ogMcastRequest does, who asks for the sending and waits until the sender's port is open.
        until(lambda: ":9001" in room.repository.run(["ss", "-lun"]).stdout, "it sends")
        saved = [tmp_path / f"{host.name}.img" for host in room.seats]
        receiving = [
            host.popen(
                ["udp-receiver", "--nokbd", "--portbase", "9000", "--file", path], stderr=subprocess.DEVNULL
            )
            for host, path in zip(room.seats, saved, strict=True)
        ]
        assert [process.wait(60) for process in (sending, *receiving)] == [0, 0, 0]
        assert all(stand(path, digest) for path in saved)


def track(host: Host, images: Path, folder: Path) -> None:
    """In the place of bttrack, which needs Python 2."""
    folder = folder / "tracker"
    folder.mkdir()
    folder.joinpath("whitelist").write_text(metainfo.read(images / f"{IMAGE}.torrent").info_hash.hex() + "\n")
    configuration = folder / "opentracker.conf"
    rules = ["access.whitelist whitelist", f"tracker.rootdir {folder}", "tracker.user nobody"]
    configuration.write_text("\n".join([f"listen.tcp {REPOSITORY}:{TRACKER_PORT}", *rules]) + "\n")
    host.popen(["opentracker", "-f", configuration])
    probe = ["curl", "-sS", f"http://{REPOSITORY}:{TRACKER_PORT}/announce"]
    until(lambda: host.run(probe, check=False).returncode == 0, "the tracker answers")


def torrent_creator(host: Host, images: Path) -> None:
    """What OpenGnsys's writes beside an image."""
    image = images / IMAGE
    for sidecar, command in (("sum", f"tail -c1M {image} | md5sum"), ("full.sum", f"md5sum {image}")):
        host.run(["sh", "-c", f"{command} | cut -d' ' -f1 > {image}.{sidecar}"])
    announce = f"http://{REPOSITORY}:{TRACKER_PORT}/announce"
    create = ["ctorrent", "-t", IMAGE, "-u", announce, "-s", f"{IMAGE}.torrent", "-l", str(4 * MEBIBYTE)]
    host.run(create, cwd=images)
