"""`ogtorrent cache list|verify|remove|pin|unpin|rollback`: the images of a cache, in their owner's hands."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ogtorrent.cache import control, events, partition
from ogtorrent.cache.control import Tending
from ogtorrent.errors import NotInCache
from ogtorrent.words import words

if TYPE_CHECKING:
    from ogtorrent.cache.stock import Item
    from ogtorrent.swarm.metainfo import Metainfo

cache_option = click.option(
    "--cache",
    "directory",
    type=click.Path(readable=False, path_type=Path),
    metavar=words("DIR"),
    help=words("The cache; the partition labelled CACHE by default."),
)
image = click.argument("image", metavar=words("IMAGE"))
images = click.argument("images", metavar=words("IMAGE..."), nargs=-1, required=True)

# What each command needs beyond that is imported when it runs: `cache stop` does without libtorrent.


@click.command("list", help=words("Show the images of the cache, and who takes from them."))
@cache_option
@click.option("--json", "as_json", is_flag=True, help=words("As one JSON object."))
def show(directory: Path | None, as_json: bool) -> None:
    from ogtorrent.cache.stock import stock

    cache = partition.find(directory)
    tending = control.look(cache)
    items = list(stock(cache))
    free, total = partition.room(cache)
    if as_json:
        told = {
            "cache": str(cache),
            "free": free,
            "total": total,
            "seeder": tending is not None,
            "images": [_facts(item, tending) for item in items],
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    _print([_row(item, tending) for item in items])
    click.echo(words("{free} of {total} are free", free=words.bytes(free), total=words.bytes(total)))


def _print(rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        click.echo(words("no images"))
        return
    head = [
        words("IMAGE"),
        words("LAYOUT"),
        words("SIZE"),
        words("VERSION"),
        words("PREVIOUS"),
        words("LAST USE"),
        words("STATE"),
    ]
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _row(item: Item, tending: Tending | None) -> list[str]:
    found, record = item.found, item.record
    whole = found.beside if found.described else None
    states = []
    if record.pinned:
        states.append(words("pinned"))
    if found.stands and whole is None:
        states.append(words("not verified"))
    if found.partial:
        states.append(words("{bytes} of a download", bytes=words.bytes(found.partial)))
    if tending is not None and item.name in tending.filling:
        states.append(words("filling"))
    if tending is not None and item.name in tending.seeding:
        peers = tending.seeding[item.name]
        states.append(words.plural("seeding, 1 peer", "seeding, {count} peers", peers))
    return [
        item.root.called(item.image),
        str(item.root.mirror.layout),
        words.bytes(whole.size if whole is not None else found.standing) if found.stands else "",
        _version(whole),
        _version(found.previous),
        datetime.fromtimestamp(record.used).strftime("%Y-%m-%d %H:%M") if record.used is not None else "",
        ", ".join(states),
    ]


def _version(of: Metainfo | None) -> str:
    """Eight letters of the info-hash, and the date of the newest file."""
    if of is None or of.stamp is None:
        return ""
    newest = datetime.fromtimestamp(max(of.stamp.mtimes) / 1e9)
    return f"{of.info_hash.hex()[:8]} {newest:%Y-%m-%d}"


def _facts(item: Item, tending: Tending | None) -> dict[str, Any]:
    found, record = item.found, item.record
    none: Mapping[str, int] = {}
    whole = found.beside if found.described else None
    return {
        "image": item.root.called(item.image),
        "layout": str(item.root.mirror.layout),
        "path": str(item.root.image(item.image)),
        "stands": found.stands,
        "size": whole.size if whole is not None else found.standing,
        "version": whole.info_hash.hex() if whole is not None else None,
        "previous": found.previous.info_hash.hex() if found.previous is not None else None,
        "partial": found.partial,
        "pinned": record.pinned,
        "used": record.used,
        "seeding": tending is not None and item.name in tending.seeding,
        "peers": (tending.seeding if tending is not None else none).get(item.name, 0),
        "taking": (tending.taking if tending is not None else none).get(item.name, 0),
        "filling": (tending.filling if tending is not None else none).get(item.name),
    }


@click.command(help=words("Read an image, or all of them, and fetch again what is damaged."))
@click.argument("image", metavar=words("[IMAGE]"), required=False)
@cache_option
@click.option(
    "--address",
    default="0.0.0.0",
    metavar="IP",
    help=words("This PC's address in the room; all by default."),
)
def verify(image: str | None, directory: Path | None, address: str) -> None:
    from ogtorrent.cache.inventory import cached
    from ogtorrent.cache.stock import find, stock
    from ogtorrent.cache.update import verify as begin

    cache = partition.find(directory)
    chosen = [find(cache, image)] if image is not None else [(one.root, one.image) for one in stock(cache)]
    worst = 0
    for root, one in chosen:
        known = cached(root, one).beside
        if known is None:
            if image is not None:
                raise NotInCache(
                    words("a metainfo of {image!r}", image=image),
                    words("Without one nobody can tell; update-cache brings it."),
                )
            continue
        last: events.Event | None = None
        for last in begin(cache, root, known, address):
            if isinstance(last, events.Done):
                click.echo(_verified(root.called(one), last))
        if isinstance(last, events.Failed):
            click.echo(f"ogtorrent: {last.message}", err=True)
            worst = max(worst, last.exit_code)
    sys.exit(worst)


def _verified(image: str, done: events.Done) -> str:
    if not done.fetched:
        return words("{image}: whole, nothing to fetch", image=image)
    return words("{image}: mended, {bytes} fetched", image=image, bytes=words.bytes(done.fetched))


@click.command(help=words("Take images out of the cache, with their previous versions."))
@images
@cache_option
@click.option("--force", is_flag=True, help=words("Also what is pinned."))
def remove(images: tuple[str, ...], directory: Path | None, force: bool) -> None:
    from ogtorrent.cache import stock

    stock.remove(partition.find(directory), images, force)


@click.command(help=words("Keep images whatever needs their room."))
@images
@cache_option
def pin(images: tuple[str, ...], directory: Path | None) -> None:
    from ogtorrent.cache import stock

    stock.pin(partition.find(directory), images, True)


@click.command(help=words("Let images go again when their room is needed."))
@images
@cache_option
def unpin(images: tuple[str, ...], directory: Path | None) -> None:
    from ogtorrent.cache import stock

    stock.pin(partition.find(directory), images, False)


@click.command(help=words("Let an image and its previous version change places."))
@image
@cache_option
def rollback(image: str, directory: Path | None) -> None:
    from ogtorrent.cache import stock

    stands = stock.rollback(partition.find(directory), image)
    click.echo(words("{image}: version {version} stands now", image=image, version=_version(stands)))


COMMANDS = (show, verify, remove, pin, unpin, rollback)
