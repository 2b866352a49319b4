"""`ogtorrent mount cache|storage`: the disks of this PC."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ogtorrent.cli.mount import json_option, mount, tell, write_option
from ogtorrent.errors import OgtorrentError
from ogtorrent.interfaces import own_addresses
from ogtorrent.layout import CACHE, Place
from ogtorrent.layout.aliases import as_address
from ogtorrent.words import words


@mount.command(
    help=words(
        "Mount the cache's partition: the one labelled CACHE, else of that name, else of OpenGnsys's type."
    )
)
@json_option
def cache(as_json: bool) -> None:
    from ogtorrent.mounts.cache import mount_cache

    addresses = (as_address(own) for own in own_addresses())
    # By its addresses of IPv4, but loopback's, others know this PC.
    own = {str(one) for one in addresses if one is not None and one.version == 4 and not one.is_loopback}
    stands, names = mount_cache(own)
    tell(stands, CACHE, as_json)
    if not as_json:
        for name in names:
            click.echo(words("also as {name}", name=name))


@mount.command(help=words("Mount a USB disk or DVD: DEVICE, or all that are plugged in."))
@click.argument("device", required=False, metavar=words("[DEVICE]"), type=click.Path(path_type=Path))
@write_option
@click.option("--json", "as_json", is_flag=True, help=words("As JSON objects, a disk a line."))
def storage(device: Path | None, write: bool, as_json: bool) -> None:
    from ogtorrent.mounts.storage import find, mount_storage, named

    failed: OgtorrentError | None = None
    for block in [named(device)] if device is not None else find():
        try:
            stands = mount_storage(block, write)
        except OgtorrentError as error:  # the others may be well
            click.echo(f"ogtorrent: {error}", err=True)
            failed = error
        else:
            tell(stands, Place(stands.mounted.at.name), as_json)
    if failed is not None:
        sys.exit(failed.exit_code)
