"""How long and how much is kept: the oldest goes first, and never what is still being made."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

SECONDS_PER_DAY = 86_400.0
BYTES_PER_MB = 1_000_000


class Limits(NamedTuple):
    """What is beyond one of them is deleted."""

    max_days: float = 30.0
    max_mb: float = 256.0
    """Of all bodies, items and events; the file is somewhat larger."""


def make_room(connection: sqlite3.Connection, limits: Limits, now: float) -> None:
    """Delete what is too old, then the oldest until the rest is small enough."""
    oldest = now - limits.max_days * SECONDS_PER_DAY
    connection.execute("DELETE FROM responses WHERE created < ? AND process IS NULL", (oldest,))
    (total,) = connection.execute("SELECT total(bytes) FROM responses").fetchone()
    surplus = total - limits.max_mb * BYTES_PER_MB
    if surplus <= 0:
        return
    rows = connection.execute(
        "SELECT id, bytes FROM responses WHERE process IS NULL ORDER BY created, id"
    )
    unwanted = []
    for answer_id, size in rows:
        if surplus <= 0:
            break
        unwanted.append((answer_id,))
        surplus -= size
    connection.executemany("DELETE FROM responses WHERE id = ?", unwanted)
