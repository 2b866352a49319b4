"""A day of a seat, on a machine that boots: what only a real kernel, disk and firmware can show."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from benchmarks.room import Room
from ogtorrent.cache import events

from . import qemu, servers
from .build import Live
from .conftest import PARAMETERS, PC, Record
from .qemu import Machine
from .site import DESCRIBE, GROUP, IMAGE, NAME, REPO, Site, described, restore, seat_disk

pytestmark = [pytest.mark.room, pytest.mark.root]

PASSWORD = "known to the test"
RATE = 40  # Mbit/s of the machine's cable: a fill takes seconds, so that it can be met in its middle


def test_a_day_of_a_seat(live: Live, record: Record, tmp_path: Path) -> None:
    # It stays for whoever wants to look at it, until the next day begins.
    disk = record.file.with_name("seat.disk")
    disk.unlink(missing_ok=True)
    seat_disk(disk)
    pc = PC(live, record, disk)
    with Room(seats=3) as room:
        site = Site(room, tmp_path)
        restored = site.image_a_partition()
        site.repository.serve()
        site.repository.until_ready(IMAGE)
        site.fill_two_seats()
        cable = room.seats[0]
        qemu.plug(cable)

        record.chapter("first boot, over the network")
        with pc.from_network(cable) as machine:
            record.chapter("the repository over NFS and over SMB")
            compare_mounts(site, machine, tmp_path)
            record.chapter("the cache is filled, until the power fails")
            cable.set_rate(RATE)
            came = fill_halfway(site, machine)
            machine.cut_power()

        record.chapter("switched on again")
        with pc.from_network(cable) as machine:
            machine.run("e2fsck -p /dev/disk/by-label/CACHE", code=None)
            machine.run("e2fsck -f -n /dev/disk/by-label/CACHE")
            record.chapter("the cache is filled to its end")
            cache = mount_cache(machine)
            finish(site, machine, came, record)
            record.chapter("the image is restored, and its overlays laid")
            assert restore(machine, cache) == restored
            record.chapter("the cache is made to boot")
            machine.run(f"ogtorrent cache make-offline --append '{PARAMETERS}'", seconds=600)
            machine.run("ogtorrent cache offline-status")
            machine.run("ogtorrent cache stop && ogtorrent umount CACHE")
            machine.power_off()

    variables = tmp_path / "uefi"
    shutil.copy(qemu.UEFI[1], variables)
    for firmware, uefi in (("BIOS", None), ("UEFI", variables)):
        record.chapter(f"booted from the cache partition without a network, by {firmware}")
        with pc.from_its_disk(uefi) as machine:
            assert machine.run("ls /sys/class/net").split() == ["lo"]
            assert machine.run("ls -d /sys/firmware/efi || true").startswith("/sys") == (uefi is not None)
            cache = mount_cache(machine)
            record.chapter(f"restored from there, {firmware}")
            assert restore(machine, cache) == restored
            machine.power_off()


def compare_mounts(site: Site, machine: Machine, folder: Path) -> None:
    """What the repository has is what the machine reads of it, whichever way."""
    host = site.room.repository
    servers.nfs(host, site.tree, REPO, folder / "nfs")
    servers.smb(host, site.tree, "ogrepo", PASSWORD, folder / "smb")
    secret = f"username={servers.USER}\\npassword={PASSWORD}\\n"
    machine.run(f"(umask 077; printf '{secret}' > /root/credentials)")
    own = described(site.tree / "images" / GROUP)
    for options in ("--protocol nfs", "--protocol smb --credentials /root/credentials"):
        machine.run(f"ogtorrent mount repo {host.address} {options} --root {REPO}")
        read = machine.run(DESCRIBE.format(f"{REPO}/images/{GROUP}"))
        assert sums(read) == sums(own) != ""
        assert read == own or "smb" in options, "SMB alone knows neither owners nor modes"
        machine.run(f"ogtorrent umount {REPO}")


def sums(description: str) -> str:
    """The files and their contents."""
    return "\n".join(re.findall(r"^[0-9a-f]{64} .*", description, re.MULTILINE))


def mount_cache(machine: Machine) -> str:
    """Where it is: a system that booted from it has it already."""
    machine.run("ogtorrent mount cache")
    return machine.run("findmnt --noheadings --first-only --output TARGET --source LABEL=CACHE")


def update(site: Site) -> str:
    address = site.room.repository.address
    return f"ogtorrent update-cache {address} /{GROUP} {NAME} --json --session peer:0"


def fill_halfway(site: Site, machine: Machine) -> int:
    """Bytes that have come when half of the image is there."""
    mount_cache(machine)
    machine.begin(update(site))
    while True:
        line = machine.until(r'\{"event"[^\r]*\}\r').strip()
        event = events.decode(line.splitlines()[-1])
        assert not isinstance(event, events.Done | events.Failed), line
        if isinstance(event, events.Progress) and event.done > event.size // 2:
            return event.done


def finish(site: Site, machine: Machine, came: int, record: Record) -> None:
    said = machine.run(update(site), seconds=300)
    done = events.decode(said.splitlines()[-1])
    assert isinstance(done, events.Done)
    record.chapter(f"{done.size} bytes, {came} before the power failed, {done.fetched} after it")
    assert done.fetched < done.size
    assert done.from_seats > done.from_repository
