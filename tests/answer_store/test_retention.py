"""The oldest goes first, and never what is still being made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cria.answer_store.database import Database
from cria.answer_store.retention import BYTES_PER_MB, SECONDS_PER_DAY, Limits, make_room

NOW = 100 * SECONDS_PER_DAY


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    database = Database(str(tmp_path / "store"))
    with database.writing() as made:
        yield made
    database.close()


def add(connection: sqlite3.Connection, name: str, days: float, mb: float, busy: bool) -> None:
    created, size = NOW - days * SECONDS_PER_DAY, int(mb * BYTES_PER_MB)
    connection.execute(
        "INSERT INTO responses VALUES (?, '', ?, 'x', NULL, 0, 0, ?, ?, x'')",
        (name, created, "p" if busy else None, size),
    )


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(30, 256), "busy month week day"),
        (Limits(8, 256), "busy week day"),
        (Limits(0.5, 256), "busy"),
        (Limits(30, 4), "busy month week day"),
        (Limits(30, 3.5), "busy week day"),
        (Limits(30, 2.5), "busy day"),
        (Limits(30, 0.1), "busy"),
    ],
)
def test_limits(connection: sqlite3.Connection, limits: Limits, left: str) -> None:
    for name, days in (("busy", 90), ("month", 29), ("week", 7), ("day", 1)):
        add(connection, name, days, 1, busy=name == "busy")
    make_room(connection, limits, NOW)
    rows = connection.execute("SELECT id FROM responses ORDER BY created")
    assert " ".join(name for (name,) in rows) == left
