"""A follower tells what is stored, then what comes, and ends with the response."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cria.answer_store.retention import Limits
from cria.answer_store.store import Answer, AnswerStore
from cria.generation.run import call
from cria.server.following import Follower
from cria.server.sse import PING

QUEUED = Answer("r", "", "queued", b"q", is_background=True, is_streamed=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AnswerStore]:
    made = AnswerStore(str(tmp_path / "store"), Limits())
    made.save(QUEUED, [])
    yield made
    made.close()


def end(store: AnswerStore, frames: list[bytes], first: int) -> None:
    store.finish(QUEUED._replace(status="completed"), [], frames, first)


def test_what_has_ended_is_told_from_any_event(store: AnswerStore) -> None:
    store.progress("r", [b"0", b"1"], 0)
    end(store, [b"2"], 2)
    for first, expected in ((0, b"012"), (1, b"12"), (3, b""), (9, b"")):
        follower = Follower(store, call, "r", 15)
        assert b"".join(follower.frames(first)) == expected


def test_what_comes_is_told_as_it_comes(store: AnswerStore) -> None:
    store.progress("r", [b"0"], 0)
    frames = Follower(store, call, "r", 15).frames()
    assert next(frames) == b"0"
    timer = threading.Timer(0.1, end, (store, [b"1"], 1))
    timer.start()
    assert list(frames) == [b"1"]
    timer.join()


def test_silence_is_filled_with_comments(store: AnswerStore) -> None:
    frames = Follower(store, call, "r", 0.01).frames()
    assert next(frames) == PING
    assert next(frames) == PING
    frames.close()


def test_nobody_is_told_after_a_cancel_or_of_what_is_deleted(store: AnswerStore) -> None:
    follower = Follower(store, call, "r", 15)
    follower.cancel()
    assert list(follower.frames()) == []
    store.delete("r", "")
    assert list(Follower(store, call, "r", 15).frames()) == []
