"""`AnswerStore`: what is kept of responses, and for whom.

1. Every method blocks for a moment: a server calls them out of the way of other requests.
2. A response that somebody else owns is as if it were not there.
3. The state of a response that has ended never changes again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cria.answer_store.database import Database
from cria.answer_store.process_mark import ProcessMark
from cria.answer_store.retention import Limits, make_room

UNFINISHED = ("queued", "in_progress")
_IS_UNFINISHED = "status IN ('queued', 'in_progress')"


class Answer(NamedTuple):
    """One response."""

    id: str
    owner: str
    status: str
    body: bytes
    """Its JSON."""
    created: float = 0.0
    """Unix seconds."""
    previous: str | None = None
    is_background: bool = False
    is_streamed: bool = False
    """Its events are kept, to be told again."""


class Item(NamedTuple):
    """One item of its input or output, encoded."""

    id: str
    body: bytes


class Link(NamedTuple):
    """One response of a chain."""

    id: str
    status: str
    previous: str | None
    items: list[bytes]
    """Input, then output."""


_FIELDS = "id, owner, status, body, created, previous, background, streamed"


class AnswerStore:
    """SetupError if the file is none of ours; the file is made if it is not there."""

    def __init__(self, path: str, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._clock = clock
        self._database = Database(path)
        self._mark = ProcessMark(path)

    def close(self) -> None:
        """What this process works on is given up."""
        self._mark.close()
        self._database.close()

    def save(self, answer: Answer, inputs: Sequence[Item], outputs: Sequence[Item] = ()) -> None:
        """Keep a response; one that has not ended is this process's to end."""
        size = len(answer.body) + _size(inputs) + _size(outputs)
        process = self._mark.name if answer.status in UNFINISHED else None
        row = (
            *(answer.id, answer.owner, answer.status, answer.body, self._clock()),
            *(answer.previous, answer.is_background, answer.is_streamed, process, size),
        )
        with self._database.writing() as connection:
            connection.execute(
                f"INSERT INTO responses ({_FIELDS}, process, bytes) VALUES (?,?,?,?,?,?,?,?,?,?)",
                row,
            )
            _add_items(connection, answer.id, inputs, is_output=False)
            _add_items(connection, answer.id, outputs, is_output=True)
            make_room(connection, self._limits, self._clock())

    def progress(
        self,
        answer_id: str,
        frames: Sequence[bytes],
        first: int = 0,
        begun: bytes | None = None,
    ) -> None:
        """Add events, the number of the first one given; with `begun` it is in progress."""
        with self._database.writing() as connection:
            if begun is not None:
                connection.execute(
                    "UPDATE responses SET status = 'in_progress', body = ? "
                    "WHERE id = ? AND status = 'queued'",
                    (begun, answer_id),
                )
            _add_frames(connection, answer_id, frames, first)

    def finish(
        self,
        answer: Answer,
        outputs: Sequence[Item],
        frames: Sequence[bytes] = (),
        first: int = 0,
    ) -> bool:
        """The end of a response that was not; false if it had one, or is not there any more."""
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE responses SET status = ?, body = ?, bytes = bytes + ?, process = NULL "
                f"WHERE id = ? AND {_IS_UNFINISHED}",
                (answer.status, answer.body, len(answer.body) + _size(outputs), answer.id),
            )
            if not done.rowcount:
                return False
            _add_items(connection, answer.id, outputs, is_output=True)
            _add_frames(connection, answer.id, frames, first)
            make_room(connection, self._limits, self._clock())
            return True

    def read(self, answer_id: str, owner: str) -> Answer | None:
        """None if there is no such response of theirs."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_FIELDS} FROM responses WHERE id = ? AND owner = ?", (answer_id, owner)
            ).fetchone()
        return _answer(row) if row else None

    def delete(self, answer_id: str, owner: str) -> bool:
        """Whether there was one."""
        with self._database.writing() as connection:
            done = connection.execute(
                "DELETE FROM responses WHERE id = ? AND owner = ?", (answer_id, owner)
            )
            return done.rowcount > 0

    def ask_to_end(self, answer_id: str, owner: str) -> bool:
        """Tell the process that works on it to stop; whether it was still worked on."""
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE responses SET process = process || '!' WHERE id = ? AND owner = ? "
                f"AND {_IS_UNFINISHED} AND process NOT LIKE '%!'",
                (answer_id, owner),
            )
            return done.rowcount > 0

    def unwanted(self) -> set[str]:
        """Ids of what this process works on and shall not any more."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id FROM responses WHERE process = ?", (f"{self._mark.name}!",)
            )
            return {row[0] for row in rows}

    def forsaken(self) -> list[Answer]:
        """What processes worked on that have ended."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT process, {_FIELDS} FROM responses WHERE process IS NOT NULL"
            ).fetchall()
        names = {row[0].rstrip("!") for row in rows}
        living = {name for name in names if self._mark.is_alive(name)}
        return [_answer(row[1:]) for row in rows if row[0].rstrip("!") not in living]

    def link(self, answer_id: str, owner: str) -> Link | None:
        """A response with all that was said in it."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT id, status, previous FROM responses WHERE id = ? AND owner = ?",
                (answer_id, owner),
            ).fetchone()
            if row is None:
                return None
            items = connection.execute(
                "SELECT body FROM items WHERE response = ? ORDER BY is_output, position",
                (answer_id,),
            ).fetchall()
        found, status, previous = row
        return Link(found, status, previous, [body for (body,) in items])

    def inputs(self, answer_id: str) -> list[Item]:
        """The input of a response, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, body FROM items WHERE response = ? AND NOT is_output ORDER BY position",
                (answer_id,),
            )
            return [Item(*row) for row in rows]

    def find_item(self, item_id: str, owner: str) -> bytes | None:
        """An item by its id, whichever response it is of; the newest if there are several."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT items.body FROM items JOIN responses ON responses.id = items.response "
                "WHERE items.id = ? AND owner = ? ORDER BY created DESC LIMIT 1",
                (item_id, owner),
            ).fetchone()
        return row[0] if row else None

    def frames(
        self, answer_id: str, first: int, most: int = 1000
    ) -> tuple[str | None, list[bytes]]:
        """The state, None if it is gone, and the events from number `first` on.

        If the state is final, and there are fewer than `most` events, these are the last ones.
        """
        with self._database.reading() as connection:
            # In this order: what has ended before the events are read is complete.
            row = connection.execute(
                "SELECT status FROM responses WHERE id = ?", (answer_id,)
            ).fetchone()
            rows = connection.execute(
                "SELECT frame FROM events WHERE response = ? AND number >= ? ORDER BY number "
                "LIMIT ?",
                (answer_id, first, most),
            ).fetchall()
        return (row[0] if row else None), [frame for (frame,) in rows]

    def num_frames(self, answer_id: str) -> int:
        """How many events of it are kept."""
        with self._database.reading() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM events WHERE response = ?", (answer_id,)
            ).fetchone()
        return int(count)


def _answer(row: Sequence[object]) -> Answer:
    answer = Answer(*row)  # type: ignore[arg-type]
    return answer._replace(
        is_background=bool(answer.is_background), is_streamed=bool(answer.is_streamed)
    )


def _size(items: Iterable[Item]) -> int:
    return sum(len(item.body) for item in items)


def _add_items(
    connection: sqlite3.Connection, answer_id: str, items: Iterable[Item], *, is_output: bool
) -> None:
    rows = ((answer_id, is_output, n, item.id, item.body) for n, item in enumerate(items))
    connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)


def _add_frames(
    connection: sqlite3.Connection, answer_id: str, frames: Sequence[bytes], first: int
) -> None:
    """Nothing if the response was deleted while it was made."""
    if not frames:
        return
    size = sum(map(len, frames))
    found = connection.execute(
        "UPDATE responses SET bytes = bytes + ? WHERE id = ?", (size, answer_id)
    )
    if found.rowcount:
        rows = ((answer_id, first + n, frame) for n, frame in enumerate(frames))
        connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?)", rows)
