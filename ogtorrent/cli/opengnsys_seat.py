"""OpenGnsys's updateCache on a PC."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ogtorrent.cache import events
from ogtorrent.cache.options import LONGEST, Full, Protocol, Way, as_opengnsys
from ogtorrent.cache.update import Origin, update
from ogtorrent.cli.update_cache import PLAIN_EVERY, describe
from ogtorrent.errors import (
    MissingProgram,
    NotARepository,
    OgtorrentError,
    RepositoryUnreachable,
    UnknownImage,
)
from ogtorrent.fetch import catalogue
from ogtorrent.fetch.server import Server
from ogtorrent.layout import Mirror
from ogtorrent.mounts import table
from ogtorrent.opengnsys import stock
from ogtorrent.opengnsys.logs import Log, Logs
from ogtorrent.opengnsys.seat import (
    CALLERS,
    Call,
    Seat,
    caller,
    forget_ctorrent,
    spelt,
    torrent_options,
)
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.words import words

NAME, PACKAGE = "updateCache", "OpenGnsys"
USAGE = "updateCache REPO|IP /PATH/IMAGE.img TORRENT|MULTICAST|UNICAST [OPTIONS]"


def update_cache(arguments: list[str], original: Path | None) -> int:
    """The exit code. Where it is work for OpenGnsys's own, that takes the place of this process."""
    seat = Seat.of(os.environ, table.read())
    logs = Logs(seat.settings, NAME)
    if len(arguments) < 3:
        logs.refuse(1, f"{seat.settings.get('MSG_FORMAT', words('Format'))}: {USAGE}")
        return 1
    try:
        # A unit with images of its own has them mounted under other paths than the server's.
        if arguments[2].upper() == "RSYNC" or seat.settings.get("ogunit"):
            return _leave_to(original, arguments)
        _begin(logs, seat, arguments)
        return _bring(Call.parse(arguments), seat, logs, arguments, original)
    except OgtorrentError as error:
        logs.refuse(error.exit_code, str(error))
        return error.exit_code


def _begin(logs: Logs, seat: Seat, arguments: list[str]) -> None:
    logs.begin(Log.COMMAND, " \n")
    if caller(os.getppid()) not in CALLERS:
        logs.begin(Log.SESSION)
        start = seat.settings.get("MSG_SCRIPTS_START", words("begins:"))
        logs.tell(f"[1] {start} {NAME} {' '.join(arguments)}", Log.LOG, Log.SESSION)


def _bring(call: Call, seat: Seat, logs: Logs, arguments: list[str], original: Path | None) -> int:
    """Raises OgtorrentError."""
    server = seat.repository if call.repository == "REPO" else call.repository
    logs.tell(f"REPO {server} {call.protocol} {call.options}".rstrip(), Log.LOG, Log.SESSION)
    if seat.has_directory(server, call.image):  # a system's files, with owners and links: OpenGnsys's rsync
        return _leave_to(original, arguments)
    began = time.monotonic()
    try:
        happens = _published(call, seat, server)
    except (RepositoryUnreachable, NotARepository):
        # Not one of ours. Its images are described where they are mounted, if those are its.
        known = _stock(call, seat, server)
        if known is None:
            raise
        if call.protocol != "TORRENT":
            return _leave_to(original, arguments)
        happens = _update(call, seat, Origin(server, known=known))
    last = _tell(happens, logs)
    if isinstance(last, events.Failed):
        logs.refuse(last.exit_code, last.message)
        return last.exit_code
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    partial = seat.settings.get("MSG_SCRIPTS_TIME_PARTIAL", words("time of the part"))
    logs.tell(f"   [ ] {partial} {NAME} {minutes}m {seconds}s", Log.LOG, Log.SESSION)
    return 0


def _published(call: Call, seat: Seat, server: str) -> Iterator[events.Event]:
    """Raises OgtorrentError."""
    try:
        return _update(call, seat, Origin(server))
    except UnknownImage:
        listed = catalogue.images(Server.parse(server))
        meant = spelt(call.image, (one.image for one in listed))
        if meant is None:
            raise
        return _update(replace(call, image=meant), seat, Origin(server))


def _update(call: Call, seat: Seat, origin: Origin) -> Iterator[events.Event]:
    """Raises OgtorrentError."""
    protocol, options = Protocol(call.protocol.lower()), call.options or None
    if protocol is Protocol.TORRENT:
        options = torrent_options(call.options, LONGEST) or None
    elif protocol is Protocol.UNICAST:
        options = None
    way, full = Way.parse(protocol, options), Full(as_opengnsys(seat.when_full))
    return update(origin, call.image, seat.cache, way, "0.0.0.0", False, None, full)


def _stock(call: Call, seat: Seat, server: str) -> tuple[Mirror, Metainfo] | None:
    """What OpenGnsys's own repository has published, where it is the one that is mounted."""
    try:
        if seat.repository != server:
            return None
    except RepositoryUnreachable:
        return None
    return stock.MIRROR, stock.published(seat.images, server, call.image)


def _tell(happens: Iterator[events.Event], logs: Logs) -> events.Event | None:
    """Steps go into the session's log; what moves goes into the command's, as a line with its %."""
    told, last, place = 0.0, None, None
    for last in happens:
        if isinstance(last, events.Started):
            place = Path(last.path)
        if isinstance(last, events.Progress | events.Checking | events.Gathering):
            if time.monotonic() - told >= PLAIN_EVERY:
                told = time.monotonic()
                logs.tell(describe(last), Log.COMMAND)
            continue
        number = {events.Started: "[10] ", events.MakingRoom: "[51] "}.get(type(last), "   [ ] ")
        for line in describe(last).splitlines():
            logs.tell(number + line, Log.LOG, Log.SESSION)
            if isinstance(last, events.Done):
                logs.tell(line, Log.COMMAND)
    if isinstance(last, events.Done) and place is not None:
        forget_ctorrent(place)
    return last


def _leave_to(original: Path | None, arguments: list[str]) -> int:
    """Raises MissingProgram."""
    if original is None or not os.access(original, os.X_OK):
        raise MissingProgram(str(original or NAME), PACKAGE)
    os.execv(original, [str(original), *arguments])
