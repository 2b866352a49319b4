"""`ogtorrent overlay show|apply`: what groups and clients lay over an image."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ogtorrent.errors import NotLaid, UnknownEntry, UnknownRoot
from ogtorrent.layout import ImagePath, Layer, Root, Tree, default_root, recognise
from ogtorrent.overlay.layers import Laid, Merged, Overlay, gathered, merge
from ogtorrent.overlay.manifest import Kind
from ogtorrent.words import marked, words

LOST = {
    "owner": marked("owners"),
    "mode": marked("modes"),
    "times": marked("exact times"),
    "extended attributes": marked("extended attributes"),
    "hard links": marked("hard links"),
}
WHAT = {"new": marked("new"), "replaced": marked("replaced"), "refused": marked("refused")}
TYPES = {Kind.FILE: "-", Kind.DIRECTORY: "d", Kind.LINK: "l", Kind.HARD_LINK: "h"}

_client = click.option(
    "--client",
    metavar=words("CLIENT"),
    help=words("A client of the repository: of --root, else of the one on this machine."),
)
_cache = click.option(
    "--cache",
    "directory",
    type=click.Path(readable=False, path_type=Path),
    metavar=words("DIR"),
    help=words("The cache; the partition labelled CACHE by default."),
)
_root = click.option(
    "--root",
    "tree",
    type=click.Path(path_type=Path),
    metavar=words("FOLDER"),
    help=words("A repository's tree instead of a cache, as `serve` gets it."),
)
_json = click.option("--json", "as_json", is_flag=True, help=words("As one JSON object."))


@click.group(help=words("What groups and clients lay over an image when it is restored."))
def overlay() -> None:
    pass


@overlay.command(help=words("Show path by path what is laid over IMAGE, and by whom: client over group."))
@click.argument("image", metavar=words("IMAGE"))
@_client
@_cache
@_root
@_json
def show(image: str, client: str | None, directory: Path | None, tree: Path | None, as_json: bool) -> None:
    overlays = _applying(ImagePath.parse(image), client, directory, tree)
    merged = merge(overlays)
    if as_json:
        told = {
            "image": image,
            "overlays": [one.name for one in overlays],
            "paths": [_facts(one) for one in merged.laid.values()],
            "hidden": [{"path": one.entry.path, "overlay": one.overlay.name} for one in merged.hidden],
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    if not overlays:
        click.echo(words("nothing is laid over {image}", image=image))
        return
    _print(merged)


@overlay.command(
    help=words(
        "Lay over the file system at TARGET what applies to IMAGE.\n\n"
        "Owner, mode, times, links and extended attributes are kept; no link leads out of TARGET."
    )
)
@click.argument("target", metavar=words("TARGET"), type=click.Path(path_type=Path))
@click.option("--image", required=True, metavar=words("IMAGE"), help=words("The image that was restored."))
@_client
@_cache
@_root
@click.option("--dry-run", is_flag=True, help=words("Only say what would be changed."))
@_json
def apply(
    target: Path,
    image: str,
    client: str | None,
    directory: Path | None,
    tree: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    from ogtorrent.overlay.lay import What, lay

    overlays = _applying(ImagePath.parse(image), client, directory, tree)
    outcome = lay(target, merge(overlays).laid, dry_run)
    counts = {what: sum(change.what is what for change in outcome.changes) for what in What}
    if as_json:
        changes = [
            {"path": one.path, "what": str(one.what), "overlay": one.overlay, "why": one.why}
            for one in outcome.changes
        ]
        told = {"target": str(target), "dry_run": dry_run, "paths": changes, "lost": sorted(outcome.lost)}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for change in outcome.changes:
            if change.what is not What.UNCHANGED:
                line = f"{words(WHAT[change.what])}  {_plain(change.path)}  ({_plain(change.overlay)})"
                click.echo(f"{line}: {change.why}" if change.why else line)
        if overlays:
            click.echo(_summed(counts[What.NEW], counts[What.REPLACED], counts[What.UNCHANGED], dry_run))
        else:
            click.echo(words("nothing is laid over {image}", image=image))
        if outcome.lost:
            kept = ", ".join(words(LOST[one]) for one in sorted(outcome.lost))
            click.echo(words("{target} does not keep: {kept}", target=target, kept=kept))
    if counts[What.REFUSED]:
        first = next(change for change in outcome.changes if change.what is What.REFUSED)
        raise NotLaid(
            target,
            words.plural(
                "1 path was refused, {path}: {why}",
                "{count} paths were refused, the first is {path}: {why}",
                counts[What.REFUSED],
                path=_plain(first.path),
                why=first.why,
            ),
            words("All others stand as they should; run this again when that is mended.")
            if not dry_run
            else words("Nothing was changed."),
        )


def _summed(new: int, replaced: int, unchanged: int, dry_run: bool) -> str:
    if not new and not replaced:
        return words.plural(
            "nothing to change, 1 path stands", "nothing to change, {count} paths stand", unchanged
        )
    facts = {"new": new, "replaced": replaced, "unchanged": unchanged}
    if dry_run:
        return words("would be: {new} new, {replaced} replaced, {unchanged} unchanged", **facts)
    return words("{new} new, {replaced} replaced, {unchanged} unchanged", **facts)


def _applying(
    image: ImagePath, client: str | None, directory: Path | None, tree: Path | None
) -> Sequence[Overlay]:
    """In the order in which they are laid over. Raises OgtorrentError."""
    if tree is not None:
        return _on_repository(Tree(recognise(tree)), image, client)
    if client is not None and directory is None:
        with contextlib.suppress(UnknownRoot):  # then this is a PC
            here = Tree(default_root())
            if here.layers:
                return _on_repository(here, image, client)
    from ogtorrent.cache import laid_over, partition, stock

    cache = partition.find(directory, written=False)
    found = laid_over.standing(cache, image, client)
    if not found:
        stock.find(cache, str(image))  # else a slip of the pen would say that nothing is laid over it
    return found


def _on_repository(tree: Tree, image: ImagePath, client: str | None) -> list[Overlay]:
    from ogtorrent.repository.inventory import Client
    from ogtorrent.repository.kept import Kept

    if client is None:
        raise click.UsageError(words("--root needs --client: whose overlays are meant?"))
    known = Kept(tree).inventory.clients.get(client)
    roots = {root.layer: root for root in tree.layers}
    if known is None and not _stands(roots.get(Layer.CLIENT), ImagePath((client,))):
        raise UnknownEntry(Layer.CLIENT, client)
    told = known or Client(client)
    found = []
    for layer, holder in ((Layer.GROUP, told.group), (Layer.CLIENT, told.name)):
        root = roots.get(layer)
        if root is not None and holder and _stands(root, ImagePath((holder, *image.parts))):
            found.append(gathered(layer, holder, root.image(ImagePath((holder, *image.parts)))))
    return found


def _stands(root: Root | None, image: ImagePath) -> bool:
    return root is not None and root.image(image).is_dir()


def _facts(one: Laid) -> dict[str, Any]:
    entry = one.entry
    facts: dict[str, Any] = {
        "path": entry.path,
        "overlay": one.overlay.name,
        "over": list(one.over),
        "kind": str(entry.kind),
    }
    if entry.kind is not Kind.HARD_LINK:
        facts |= {"mode": entry.mode, "uid": entry.uid, "gid": entry.gid, "mtime": entry.mtime}
    if entry.kind is Kind.FILE:
        facts["size"] = entry.size
    if entry.target:
        facts["target"] = entry.target
    return facts | {"xattrs": sorted(entry.xattrs)}


def _print(merged: Merged) -> None:
    rows = [[words("PATH"), words("MODE"), words("OWNER"), words("SIZE"), words("LAYER"), words("REPLACES")]]
    for one in merged.laid.values():
        rows.append(_row(one))
    for one in merged.hidden:
        rows.append([_plain(one.entry.path), "", "", "", _plain(one.overlay.name), words("is not laid")])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(one: Laid) -> list[str]:
    entry = one.entry
    linked = entry.kind is Kind.HARD_LINK
    path = f"{entry.path} -> {entry.target}" if entry.target else entry.path
    return [
        _plain(path),
        TYPES[entry.kind] + (stat.filemode(entry.mode)[1:] if not linked else ""),
        f"{entry.uid}:{entry.gid}" if not linked else "",
        words.bytes(entry.size) if entry.kind is Kind.FILE else "",
        _plain(one.overlay.name),
        ", ".join(map(_plain, one.over)),
    ]


def _plain(text: str) -> str:
    """A name that moves no cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
