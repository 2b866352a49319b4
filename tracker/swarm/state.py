"""What a tracker remembers over a restart, in SQLite: counts of completed downloads, and its secret."""

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path
from secrets import token_bytes

from tracker.request import InfoHash

_SCHEMA = (
    # A journal that is emptied, not deleted: nothing comes and goes in a folder that others watch.
    "PRAGMA journal_mode = TRUNCATE",
    "CREATE TABLE IF NOT EXISTS downloads (info_hash BLOB PRIMARY KEY, completed INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS secret (only INTEGER PRIMARY KEY CHECK (only = 0), bytes BLOB NOT NULL)",
)
SECRET_BYTES = 32
_ADD = (
    "INSERT INTO downloads VALUES (?, ?) "
    "ON CONFLICT (info_hash) DO UPDATE SET completed = completed + excluded.completed"
)


class StateError(Exception):
    """A state file that cannot be used: which, and why."""


class State:
    """Counts of completed downloads by info-hash, and the secret behind connection ids (BEP 15).

    The secret stays, for libtorrent uses a connection id for a minute whatever an error says: with a new
    one, a restart would keep it out for that long. Without a file both last as long as the process.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Open or make the file; raises StateError."""
        self.secret = token_bytes(SECRET_BYTES)
        self._counts: Counter[bytes] = Counter()
        self._unsaved: Counter[bytes] = Counter()
        self._file = file
        self._database: sqlite3.Connection | None = None
        if file is not None:
            try:
                # Saving happens in a thread, one save at a time.
                self._database = sqlite3.connect(file, check_same_thread=False)
                self._load(self._database)
            except (sqlite3.Error, TypeError, ValueError) as error:
                raise StateError(f"{file} cannot keep the tracker's state: {error}") from error

    def _load(self, database: sqlite3.Connection) -> None:
        with database:
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute("INSERT OR IGNORE INTO secret VALUES (0, ?)", (self.secret,))
        ((self.secret,),) = database.execute("SELECT bytes FROM secret")
        self._counts.update(dict(database.execute("SELECT info_hash, completed FROM downloads")))

    def add(self, swarm_id: InfoHash) -> None:
        self._counts[swarm_id] += 1
        if self._database is not None:
            self._unsaved[swarm_id] += 1

    def count(self, swarm_id: InfoHash) -> int:
        return self._counts.get(swarm_id, 0)

    async def save(self) -> None:
        """Write what is new, in a thread, for a disk takes its time. Raises StateError, and loses nothing."""
        unsaved, self._unsaved = self._unsaved, Counter()
        if unsaved:
            try:
                await asyncio.to_thread(self._write, unsaved)
            except BaseException:
                self._unsaved.update(unsaved)
                raise

    def close(self) -> None:
        """Write what is new and let go of the file; raises StateError."""
        if self._database is not None:
            try:
                if self._unsaved:
                    self._write(self._unsaved)
            finally:
                self._database.close()
                self._database = None

    def _write(self, counts: Counter[bytes]) -> None:
        assert self._database is not None
        try:
            with self._database:
                # Differences, so that two trackers may share the file.
                self._database.executemany(_ADD, counts.items())
        except sqlite3.Error as error:
            raise StateError(f"{self._file} cannot keep the tracker's state: {error}") from error
