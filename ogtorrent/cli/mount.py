"""`ogtorrent mount`, `umount` and `env`: what of images is elsewhere, and where it is seen here."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from ogtorrent import layout
from ogtorrent.errors import BadAddress, NoCache, NoCredentials
from ogtorrent.interfaces import own_addresses
from ogtorrent.layout import CACHE, REPO, Here, Place
from ogtorrent.layout.aliases import as_address
from ogtorrent.mounts import credentials as files
from ogtorrent.mounts import environment, table, unmounting
from ogtorrent.mounts import mounting as mounts
from ogtorrent.mounts.mounting import Stands
from ogtorrent.mounts.protocols import PROTOCOLS, checked_path, exported, remote
from ogtorrent.mounts.remote import Host
from ogtorrent.words import words

root_option = click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar=words("FOLDER"),
    help=words("The repository's tree by its name there; OpenGnsys's by default."),
)
server_option = click.option(
    "--server",
    default="",
    metavar="IP",
    help=words("The repository's address, on another machine than it."),
)
json_option = click.option("--json", "as_json", is_flag=True, help=words("As one JSON object."))
write_option = click.option("--write", is_flag=True, help=words("To be written, too."))


@click.group(help=words("Mount a repository, this PC's cache or a removable disk where its images belong."))
def mount() -> None:
    pass


@mount.command(
    "repo",
    help=words(
        "Mount the images of HOST[:PORT]: the repository, or with --server another server, a NAS or another "
        "PC's cache.\n\nBy WebDAV, https://HOST[:PORT] is mounted by HTTPS."
    ),
)
@click.argument("host", metavar=words("HOST"))
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="nfs",
    show_default=True,
    help=words("How it is reached."),
)
@click.option(
    "--path", default="", metavar=words("PATH"), help=words("What it exports: a folder, or a share.")
)
@click.option(
    "--credentials",
    "file",
    type=click.Path(path_type=Path),
    metavar=words("FILE"),
    help=words("Who we are to it: lines username=, password=; asked for on a terminal."),
)
@write_option
@click.option(
    "--server", default="", metavar="IP", help=words("The repository's address, where HOST is another.")
)
@root_option
@json_option
def repo(
    host: str,
    protocol: str,
    path: str,
    file: Path | None,
    write: bool,
    server: str,
    root: Path | None,
    as_json: bool,
) -> None:
    secure = protocol == "webdav" and host.startswith("https://")
    known = files.read(file) if file is not None else None
    reached = Host.parse(host.removeprefix("https://") if secure else host)
    here, place = _meant(host, reached, server, root)
    folder = checked_path(path) if path else exported(protocol, here, place)
    try:
        stands = mounts.mount(remote(protocol, reached, folder, secure, known), here.point(place), write)
    except NoCredentials:
        if known is not None or not sys.stdin.isatty():
            raise
        known = _prompted(protocol)
        stands = mounts.mount(remote(protocol, reached, folder, secure, known), here.point(place), write)
    tell(stands, place, as_json)


def _meant(host: str, reached: Host, server: str, root: Path | None) -> tuple[Here, Place]:
    """Raises BadAddress where that is this machine."""
    if server and as_address(server) is None:
        raise BadAddress(server, words("the repository's address is wanted, not its name"))
    here = Here(layout.expected(root), None, own_addresses(), server or reached.address)
    place = here.place(reached.address)
    if place == CACHE:
        raise BadAddress(host, words("that is this PC; its cache is mounted by `ogtorrent mount cache`"))
    if place == REPO and here.is_server:
        raise BadAddress(host, words("that is this machine; its images are here already"))
    return here, place


def _prompted(protocol: str) -> files.Credentials:
    default = "root" if protocol == "sshfs" else files.USER
    username = click.prompt(words("User"), default=default, err=True)
    password = click.prompt(words("Password"), hide_input=True, err=True)
    return files.Credentials(username, password)


def tell(stands: Stands, place: Place, as_json: bool) -> None:
    """What was done, in one line."""
    mounted = stands.mounted
    if as_json:
        told = {
            "place": str(place),
            "source": stands.source,
            "path": str(mounted.at),
            "type": mounted.kind,
            "read_only": mounted.read_only,
            "mounted": stands.new,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    facts = {"place": place, "source": stands.source, "at": mounted.at}
    if not stands.new:
        click.echo(words("{place}: {source} is mounted at {at} already", **facts))
    elif mounted.read_only:
        click.echo(words("{place}: {source} is mounted at {at}, to be read", **facts))
    else:
        click.echo(words("{place}: {source} is mounted at {at}, to be read and written", **facts))


@click.command(
    help=words(
        "Unmount a place or path. PLACE is REPO, CACHE, the address of another server or PC, DVD-ID or "
        "USB-ID.\n\nWho uses it still is named; nothing is torn from him."
    )
)
@click.argument("what", metavar=words("PLACE|PATH"))
@server_option
@root_option
@json_option
def umount(what: str, server: str, root: Path | None, as_json: bool) -> None:
    at = Path(what).absolute() if "/" in what else _point(what, server, root)
    gone = unmounting.unmount(at) if at is not None else None
    if as_json:
        told = {"path": str(at) if at is not None else None, "unmounted": gone is not None}
        click.echo(json.dumps(told, ensure_ascii=False))
    elif gone is None:
        click.echo(words("nothing is mounted at {at}", at=at or what))
    else:
        click.echo(words("{source} is mounted at {at} no more", source=gone.source, at=at))


def _point(place: str, server: str, root: Path | None) -> Path | None:
    """None of a cache that is not mounted: only its partition says where it would be."""
    here = _here(server, root)
    meant = here.place(place)
    if meant == REPO:
        found = environment.repository(here, table.read())
        return found if found is not None else here.point(REPO)
    return here.point(meant) if meant != CACHE else here.cache


@click.command(
    help=words(
        "Print for a shell where things are mounted: REPO, CACHE, IPSERVIDOR_ALT, DVD and USB.\n\n"
        'Write eval "$(ogtorrent env)".'
    )
)
@server_option
@root_option
def env(server: str, root: Path | None) -> None:
    here = _here(server, root)
    for name, value in environment.variables(here, table.read()).items():
        click.echo(f"unset {name}" if value is None else f"export {name}={shlex.quote(str(value))}")


def _here(server: str, root: Path | None) -> Here:
    from ogtorrent.cache import partition

    here = Here(layout.expected(root), None, own_addresses(), server)
    try:
        return replace(here, cache=partition.mounted())
    except NoCache:
        return here
