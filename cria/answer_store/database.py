"""`Database`: connections to one SQLite file, made and given back by any thread.

Write-ahead logging lets readers go on while somebody writes; a commit is not lost when the process
dies, though the last ones may be when the machine does.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from cria.errors import SetupError, StoreUnwritable

APPLICATION_ID = 0x43524941
"""`CRIA`: what SQLite files of this program say in their header."""
VERSION = 1
BUSY_SECONDS = 30.0
"""How long to wait for another process that writes; nobody writes for long."""
NUM_CONNECTIONS = 8
"""One for each of the threads that work with a store at the same time."""
NO_ROOM = ("disk is full", "disk I/O error", "readonly database")
"""SQLite's words; the errors have no codes before Python 3.11."""

_SCHEMA = """
CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created REAL NOT NULL,
    status TEXT NOT NULL,
    previous TEXT,
    background INTEGER NOT NULL,
    streamed INTEGER NOT NULL,
    process TEXT,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_age ON responses (created, id, bytes);
CREATE INDEX by_process ON responses (process) WHERE process IS NOT NULL;
CREATE TABLE items (
    response TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    is_output INTEGER NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (response, is_output, position)
) WITHOUT ROWID;
CREATE INDEX by_item ON items (id);
CREATE TABLE events (
    response TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    frame BLOB NOT NULL,
    PRIMARY KEY (response, number)
) WITHOUT ROWID;
"""


class Database:
    """SetupError if the file cannot be used; a file that is not there is made, for its owner."""

    def __init__(self, path: str) -> None:
        self.path = path
        # `append` and `pop` are atomic: no lock, which a greenlet could hold while a thread waits.
        self._idle: deque[sqlite3.Connection] = deque()
        try:
            _make_file(path)
            with self.reading() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
            with self.writing() as connection:
                _prepare(connection, path)
            self._open_all()
        except (OSError, sqlite3.Error, StoreUnwritable) as error:
            self.close()
            reason = error.strerror if isinstance(error, OSError) else error.__cause__
            raise SetupError(
                f"The store of responses {path} cannot be used: {reason or error}."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection on which every statement is a transaction of its own.

        StoreUnwritable if the disk is full: readers too write, to the file that they share.
        """
        with _no_room_named():
            connection = self._take()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
        self._idle.append(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All statements are done, or none is; StoreUnwritable if the disk is full."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close what is idle; whoever comes later opens anew."""
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    def _open_all(self) -> None:
        """Those that will be needed, while there are descriptors for them."""
        with contextlib.ExitStack() as stack:
            for _ in range(NUM_CONNECTIONS):
                # A first look opens all that a connection holds.
                stack.enter_context(self.reading()).execute("SELECT 1 FROM responses LIMIT 1")

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return _connect(self.path)


@contextmanager
def _no_room_named() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if not any(words in str(error) for words in NO_ROOM):
            raise
        raise StoreUnwritable(f"The store of responses cannot be used: {error}.") from error


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    # What is deleted is overwritten where that costs nothing more.
    connection.execute("PRAGMA secure_delete = FAST")
    return connection


def _make_file(path: str) -> None:
    """SQLite makes its further files with the rights of this one."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if found == APPLICATION_ID and version == VERSION:
        check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise SetupError(f"The store of responses {path} is damaged: {check}. Move it away.")
        return
    (num_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if found or version or num_tables:
        raise SetupError(
            f"{path} is no store of responses of this version of Cria. Name another file with "
            "--response-store."
        )
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
