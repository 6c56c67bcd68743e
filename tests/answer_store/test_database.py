"""One file, for its owner alone, and never somebody else's."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import threading
from pathlib import Path

import psutil
import pytest

from cria.answer_store.database import NUM_CONNECTIONS, Database
from cria.errors import SetupError, StoreUnwritable


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute("SELECT count(*) FROM responses").fetchone()[0])


def add(connection: sqlite3.Connection, name: str) -> None:
    connection.execute(
        "INSERT INTO responses VALUES (?, '', 0, 'completed', NULL, 0, 0, NULL, 0, x'')", (name,)
    )


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "store"
    database = Database(str(path))
    with database.writing() as connection:
        add(connection, "a")
    modes = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {0o600}
    database.close()


def test_what_was_written_is_there_for_the_next(tmp_path: Path) -> None:
    first = Database(str(tmp_path / "store"))
    with first.writing() as connection:
        add(connection, "a")
    second = Database(str(tmp_path / "store"))
    assert (count(first), count(second)) == (1, 1)
    first.close()
    second.close()


def test_a_full_disk_has_a_name(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store"))
    with pytest.raises(StoreUnwritable, match="disk is full"), database.writing() as connection:
        connection.execute("PRAGMA max_page_count = 1")
        for number in range(1000):
            add(connection, str(number) * 100)
    assert count(database) == 0
    database.close()


def test_other_mistakes_keep_their_name(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store"))
    with pytest.raises(sqlite3.OperationalError), database.writing() as connection:
        connection.execute("SELECT nonsense")
    database.close()


def test_a_failure_writes_nothing(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store"))
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        add(connection, "a")
        _ = 1 / 0
    assert count(database) == 0
    database.close()


def test_many_threads_write(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store"))

    def write(number: int) -> None:
        for turn in range(5):
            with database.writing() as connection:
                add(connection, f"{number}-{turn}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 40
    database.close()


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no database at all, and long enough to be looked at\n" * 100)
    with pytest.raises(SetupError, match=r"cannot be used: .*database"):
        Database(str(path))
    assert path.read_text().startswith("no database")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    with pytest.raises(SetupError, match="--response-store"):
        Database(str(path))


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store"
    Database(str(path)).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(SetupError, match="this version"):
        Database(str(path))


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store"
    database = Database(str(path))
    with database.writing() as connection:
        for number in range(200):
            add(connection, f"response {number}" * 20)
    database.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 6] = b"\xaa" * (4096 * 3)
    path.write_bytes(bytes(data))
    with pytest.raises(SetupError, match=r"store of responses"):
        Database(str(path))


@pytest.mark.parametrize("name", ["missing/store", "."])
def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match="cannot be used"):
        Database(str(tmp_path / name))


def test_use_by_many_threads_takes_no_further_descriptors(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store"))
    before = psutil.Process().num_fds()
    with contextlib.ExitStack() as all_at_once:
        for number in range(NUM_CONNECTIONS):
            connection = all_at_once.enter_context(database.reading())
            add(connection, str(number))
        assert psutil.Process().num_fds() == before
    assert count(database) == NUM_CONNECTIONS
    database.close()
