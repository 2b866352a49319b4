"""The deployments of years, in SQLite, beside the counts of `tracker.swarm.state`."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from tracker.classroom.record import DeploymentRecord, DeploymentSummary, SeatRecord
from tracker.classroom.snapshot import Deployment, SeatState, Trouble, TroubleKind
from tracker.swarm.state import StateError

MOST = 10_000  # deployments; then the oldest go
# The file is shared, and so is `PRAGMA user_version`: the version of these tables stands in one of their own.
VERSION = 1
_CONNECTION = (
    # A journal that is emptied, not deleted: nothing comes and goes in a folder that others watch.
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA foreign_keys = ON",
)
_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS history_version "
    "(only INTEGER PRIMARY KEY CHECK (only = 0), version INTEGER NOT NULL)"
)
_SCHEMA = (
    # `seats_count` to `rooms` say of the seats what the list shows, so that it need not read them.
    "CREATE TABLE IF NOT EXISTS deployments ("
    "number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, image TEXT NOT NULL, size INTEGER NOT NULL, "
    "began REAL NOT NULL, ended REAL, sent INTEGER NOT NULL, delivered INTEGER NOT NULL, "
    "saved REAL NOT NULL, seats_count INTEGER NOT NULL, done INTEGER NOT NULL, median REAL, last REAL, "
    "stragglers TEXT NOT NULL, rooms TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS deployments_by_begin ON deployments (began, id)",
    "CREATE TABLE IF NOT EXISTS seats ("
    "deployment INTEGER NOT NULL REFERENCES deployments ON DELETE CASCADE, place INTEGER NOT NULL, "
    "name TEXT NOT NULL, address TEXT NOT NULL, room TEXT NOT NULL, began REAL NOT NULL, took REAL, "
    "state TEXT NOT NULL, progress REAL NOT NULL, trouble TEXT, figure REAL, words TEXT, "
    "PRIMARY KEY (deployment, place)) WITHOUT ROWID",
)
_DEPLOYMENT = "id, image, size, began, ended, sent, delivered"
_SUMMARY = f"{_DEPLOYMENT}, seats_count, done, median, last, stragglers, rooms"
_SEAT = "name, address, room, began, took, state, progress, trouble, figure, words"
_INSERT_DEPLOYMENT = f"INSERT INTO deployments ({_SUMMARY}, saved) VALUES ({', '.join('?' * 14)})"
_INSERT_SEAT = f"INSERT INTO seats (deployment, place, {_SEAT}) VALUES ({', '.join('?' * 12)})"
_FORGET = (
    "DELETE FROM deployments WHERE number IN "
    "(SELECT number FROM deployments ORDER BY began DESC, id DESC LIMIT -1 OFFSET ?)"
)
_LARGEST_INTEGER = (1 << 63) - 1  # of SQLite

_T = TypeVar("_T")
_Row = tuple[Any, ...]


class History:
    """Deployments that are over, and those that run as they last were saved.

    Two trackers may share the file. Without one, it lasts as long as the process. Whatever reads or writes
    does so in a thread, and raises StateError when the file cannot be used.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Open or make the file; raises StateError."""
        self._file = file
        self._lock = Lock()  # one transaction at a time: threads share the connection
        try:
            self._database = sqlite3.connect(
                file or ":memory:", check_same_thread=False, isolation_level=None
            )
            try:
                self._open(self._database)
            except BaseException:
                self._database.close()
                raise
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Let go of the file, after whatever is being written."""
        with self._lock:
            self._database.close()

    async def save(self, record: DeploymentRecord, at: float) -> None:
        """Keep a deployment with its seats at the moment `at`, in place of what was kept of it before."""
        await self._ask(lambda database: _write(database, record, at))

    async def summaries(self) -> tuple[DeploymentSummary, ...]:
        """All of them, the newest first."""
        query = f"SELECT {_SUMMARY} FROM deployments ORDER BY began DESC, id DESC"
        return await self._ask(lambda database: tuple(map(_summary, database.execute(query))))

    async def record(self, id: str) -> DeploymentRecord | None:
        found = await self._ask(lambda database: _records(database, "id = ?", _text(id)))
        return found[0] if found else None

    async def unfinished(self) -> tuple[tuple[DeploymentRecord, float], ...]:
        """Those that still ran when they were saved, and the moments of that, the newest first."""
        return await self._ask(_unfinished)

    async def end_those_saved_before(self, moment: float) -> None:
        """Nobody follows them any more: they ended when they were last saved."""
        await self._ask(lambda database: _end(database, moment))

    async def _ask(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        return await asyncio.to_thread(self._in_transaction, question)

    def _in_transaction(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            with self._lock, self._database:
                self._database.execute("BEGIN")
                return question(self._database)
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise self._error(error) from error

    def _open(self, database: sqlite3.Connection) -> None:
        for statement in _CONNECTION:
            database.execute(statement)
        with database:
            database.execute("BEGIN IMMEDIATE")  # another tracker may make the same tables now
            database.execute(_VERSION_TABLE)
            database.execute("INSERT OR IGNORE INTO history_version VALUES (0, ?)", (VERSION,))
            ((version,),) = database.execute("SELECT version FROM history_version")
            if version != VERSION:
                raise ValueError(f"it has version {version} of the tables, and this program knows {VERSION}")
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute(f"SELECT number, {_SUMMARY} FROM deployments LIMIT 1")
            database.execute(f"SELECT deployment, place, {_SEAT} FROM seats LIMIT 1")

    def _error(self, error: Exception) -> StateError:
        return StateError(f"{self._file or 'memory'} cannot keep the history of deployments: {error}")


def _write(database: sqlite3.Connection, record: DeploymentRecord, at: float) -> None:
    database.execute("DELETE FROM deployments WHERE id = ?", (_text(record.deployment.id),))
    number = database.execute(_INSERT_DEPLOYMENT, (*_summary_row(record.summary), at)).lastrowid
    rows = ((number, place, *_seat_row(seat)) for place, seat in enumerate(record.seats))
    database.executemany(_INSERT_SEAT, rows)
    database.execute(_FORGET, (MOST,))


def _unfinished(database: sqlite3.Connection) -> tuple[tuple[DeploymentRecord, float], ...]:
    found = database.execute(
        "SELECT id, saved FROM deployments WHERE ended IS NULL ORDER BY began DESC, id DESC"
    ).fetchall()
    return tuple((_records(database, "id = ?", id)[0], saved) for id, saved in found)


def _end(database: sqlite3.Connection, moment: float) -> None:
    for record, saved in _unfinished(database):
        if saved < moment:
            # Written anew: who was under way is a straggler now.
            _write(database, replace(record, deployment=replace(record.deployment, ended=saved)), saved)


def _records(database: sqlite3.Connection, which: str, *facts: str) -> tuple[DeploymentRecord, ...]:
    found = database.execute(
        f"SELECT number, {_DEPLOYMENT} FROM deployments WHERE {which} ORDER BY began DESC, id DESC", facts
    ).fetchall()
    seats = f"SELECT {_SEAT} FROM seats WHERE deployment = ? ORDER BY place"
    return tuple(
        DeploymentRecord(Deployment(*row), tuple(map(_seat, database.execute(seats, (number,)))))
        for number, *row in found
    )


def _summary_row(summary: DeploymentSummary) -> _Row:
    deployment = summary.deployment
    return (
        _text(deployment.id),
        _text(deployment.image),
        _integer(deployment.size),
        _real(deployment.began),
        _real_or_none(deployment.ended),
        _integer(deployment.sent),
        _integer(deployment.delivered),
        summary.seats,
        summary.done,
        _real_or_none(summary.median),
        _real_or_none(summary.last),
        _list(summary.stragglers),
        _list(summary.rooms),
    )


def _summary(row: _Row) -> DeploymentSummary:
    *deployment, seats, done, median, last, stragglers, rooms = row
    return DeploymentSummary(
        Deployment(*deployment),
        seats,
        done,
        median,
        last,
        tuple(json.loads(stragglers)),
        tuple(json.loads(rooms)),
    )


def _seat_row(seat: SeatRecord) -> _Row:
    trouble = seat.trouble
    return (
        _text(seat.name),
        _text(seat.address),
        _text(seat.room),
        _real(seat.began),
        _real_or_none(seat.took),
        seat.state.value,
        _real(seat.progress),
        trouble and trouble.kind.value,
        trouble and _real(trouble.figure),
        trouble and _text(trouble.words),
    )


def _seat(row: _Row) -> SeatRecord:
    name, address, room, began, took, state, progress, kind, figure, words = row
    trouble = None if kind is None else Trouble(TroubleKind(kind), figure, words)
    return SeatRecord(name, address, room, began, took, SeatState(state), progress, trouble)


def _text(text: str) -> str:
    """What UTF-8 can say of it: a lone surrogate it cannot."""
    return text.encode(errors="replace").decode()


def _list(texts: Iterable[str]) -> str:
    return json.dumps([_text(text) for text in texts], ensure_ascii=False)


def _integer(value: int) -> int:
    return max(-_LARGEST_INTEGER, min(value, _LARGEST_INTEGER))


def _real(value: float) -> float:
    return _real_or_none(value) or 0.0


def _real_or_none(value: float | None) -> float | None:
    """Without infinity, not-a-number and what is no figure of a clock or a disk: those are not known."""
    return value if value is not None and abs(value) <= _LARGEST_INTEGER else None
