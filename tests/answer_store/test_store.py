"""What is kept is found by its owner, changes until it ends, and goes when it is too old."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cria.answer_store.retention import SECONDS_PER_DAY, Limits
from cria.answer_store.store import Answer, AnswerStore, Item, Link

DONE = Answer("r1", "me", "completed", b"{}")
QUEUED = Answer("r2", "me", "queued", b"q", is_background=True, is_streamed=True)
IN = [Item("i1", b"in1"), Item("i2", b"in2")]
OUT = [Item("o1", b"out")]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[AnswerStore]:
    made = AnswerStore(str(tmp_path / "store"), Limits(), clock)
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path, store: AnswerStore) -> Iterator[AnswerStore]:
    """That of another process over the same file."""
    made = AnswerStore(str(tmp_path / "store"), Limits())
    yield made
    made.close()


def test_what_is_saved_is_read(store: AnswerStore, other: AnswerStore) -> None:
    store.save(DONE, IN, OUT)
    expected = DONE._replace(created=1000.0)
    assert store.read("r1", "me") == other.read("r1", "me") == expected
    assert store.inputs("r1") == IN
    assert store.link("r1", "me") == Link("r1", "completed", None, [b"in1", b"in2", b"out"])
    assert store.find_item("o1", "me") == b"out"


def test_nobody_else_finds_it(store: AnswerStore) -> None:
    store.save(DONE, IN, OUT)
    assert store.read("r1", "you") is None
    assert store.link("r1", "you") is None
    assert store.find_item("o1", "you") is None
    assert not store.delete("r1", "you")
    assert not store.ask_to_end("r1", "you")
    assert store.read("r1", "me") is not None


def test_what_is_deleted_is_gone_with_its_items(store: AnswerStore) -> None:
    store.save(DONE, IN, OUT)
    assert store.delete("r1", "me")
    assert not store.delete("r1", "me")
    assert store.read("r1", "me") is None
    assert store.inputs("r1") == []
    assert store.find_item("o1", "me") is None


def test_the_newest_item_of_an_id_is_found(store: AnswerStore, clock: Clock) -> None:
    store.save(DONE, [Item("i", b"old")])
    clock.now += 1
    store.save(DONE._replace(id="r9"), [Item("i", b"new")])
    assert store.find_item("i", "me") == b"new"


def test_a_run_in_the_background(store: AnswerStore, other: AnswerStore) -> None:
    store.save(QUEUED, IN)
    assert other.frames("r2", 0) == ("queued", [])
    store.progress("r2", [b"e0", b"e1"], 0, begun=b"p")
    now = other.read("r2", "me")
    assert now is not None and (now.status, now.body) == ("in_progress", b"p")
    store.progress("r2", [b"e2"], 2)
    assert other.frames("r2", 1) == ("in_progress", [b"e1", b"e2"])
    assert other.frames("r2", 0, most=2) == ("in_progress", [b"e0", b"e1"])
    assert store.finish(QUEUED._replace(status="completed", body=b"c"), OUT, [b"e3"], 3)
    assert other.frames("r2", 3) == ("completed", [b"e3"])
    assert other.num_frames("r2") == 4
    assert other.link("r2", "me") == Link("r2", "completed", None, [b"in1", b"in2", b"out"])


def test_what_has_ended_does_not_end_again(store: AnswerStore) -> None:
    store.save(QUEUED, IN)
    assert store.finish(QUEUED._replace(status="cancelled", body=b"x"), [])
    assert not store.finish(QUEUED._replace(status="completed", body=b"y"), OUT)
    store.progress("r2", [], 0, begun=b"z")
    now = store.read("r2", "me")
    assert now is not None and (now.status, now.body) == ("cancelled", b"x")


def test_what_is_deleted_meanwhile_stays_so(store: AnswerStore) -> None:
    store.save(QUEUED, IN)
    store.delete("r2", "me")
    store.progress("r2", [b"e"], 0, begun=b"p")
    assert not store.finish(QUEUED._replace(status="completed"), OUT, [b"e"])
    assert store.frames("r2", 0) == (None, [])


def test_any_process_asks_and_the_right_one_hears(store: AnswerStore, other: AnswerStore) -> None:
    store.save(QUEUED, IN)
    assert store.unwanted() == set()
    assert other.ask_to_end("r2", "me")
    assert not other.ask_to_end("r2", "me")
    assert store.unwanted() == {"r2"}
    assert other.unwanted() == set()
    assert other.forsaken() == []
    store.finish(QUEUED._replace(status="cancelled"), [])
    assert store.unwanted() == set()


def test_what_a_dead_process_leaves_is_forsaken(tmp_path: Path, store: AnswerStore) -> None:
    program = (
        "import os, sys\n"
        "from cria.answer_store.store import *\n"
        "from cria.answer_store.retention import Limits\n"
        "store = AnswerStore(sys.argv[1], Limits())\n"
        "store.save(Answer('r7', 'me', 'queued', b'q'), [])\n"
        "store.save(Answer('r8', 'me', 'completed', b'q'), [])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    store.save(QUEUED, IN)
    assert store.forsaken() == []
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "store")], check=False)
    assert [answer.id for answer in store.forsaken()] == ["r7"]


def test_the_old_goes_when_the_new_comes(store: AnswerStore, clock: Clock) -> None:
    store.save(DONE, IN)
    clock.now += 31 * SECONDS_PER_DAY
    store.save(DONE._replace(id="r3"), IN)
    assert store.read("r1", "me") is None
    assert store.read("r3", "me") is not None


def test_size_counts_items_and_events(tmp_path: Path) -> None:
    store = AnswerStore(str(tmp_path / "small"), Limits(max_mb=0.001))
    big = [Item("i", b"x" * 600)]
    store.save(DONE, big)
    assert store.read("r1", "me") is not None
    store.save(QUEUED, [])
    store.progress("r2", [b"x" * 600], 0)
    store.finish(QUEUED._replace(status="completed"), [])
    assert store.read("r1", "me") is None
    assert store.read("r2", "me") is not None
    store.close()
