"""`ogtorrent mount cache|storage`: the disks of this PC."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ogtorrent.errors import OgtorrentError
from ogtorrent.mounts.mounting import Stands
from ogtorrent.words import words


@click.command(
    help=words(
        "Mount the cache's partition: the one labelled CACHE, else of that name, else of OpenGnsys's type."
    )
)
def cache() -> None:
    from ogtorrent.mounts.cache import mount_cache

    stands, names = mount_cache(_own_addresses())
    click.echo(_told(stands))
    for name in names:
        click.echo(words("also as {name}", name=name))


@click.command(help=words("Mount a USB disk or DVD: DEVICE, or all that are plugged in."))
@click.argument("device", required=False, metavar=words("[DEVICE]"), type=click.Path(path_type=Path))
@click.option("--read-only", is_flag=True, help=words("Also what could be written."))
def storage(device: Path | None, read_only: bool) -> None:
    from ogtorrent.mounts.storage import find, mount_storage, named

    failed: OgtorrentError | None = None
    for block in [named(device)] if device is not None else find():
        try:
            click.echo(_told(mount_storage(block, not read_only)))
        except OgtorrentError as error:  # the others may be well
            click.echo(f"ogtorrent: {error}", err=True)
            failed = error
    if failed is not None:
        sys.exit(failed.exit_code)


def _told(stands: Stands) -> str:
    at, source = stands.mounted.at, stands.source
    if not stands.new:
        return words("{source} is mounted at {at} already", source=source, at=at)
    if stands.mounted.read_only:
        return words("{source} is mounted at {at}, to be read only", source=source, at=at)
    return words("{source} is mounted at {at}", source=source, at=at)


def _own_addresses() -> set[str]:
    """Of this PC's interfaces, but loopback's: by them others know it."""
    import socket

    import psutil

    known = [address for addresses in psutil.net_if_addrs().values() for address in addresses]
    return {
        address.address
        for address in known
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }
