"""Runs go on without their client, end when they are told to, and never stay unfinished."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cria.answer_store.retention import Limits
from cria.answer_store.store import Answer, AnswerStore
from cria.api.events import ChoiceDelta, ChoiceFinished, Heartbeat
from cria.api.responses.encoder import ResponseEncoder
from cria.api.responses.response_object import Response
from cria.errors import EngineDied, StoreUnwritable
from cria.generation.run import call
from cria.server import background as module
from cria.server.background import DIED, BackgroundRuns, end_forsaken, fail_forsaken
from cria.server.stored_answers import answer_of, encode
from tests.fakes import HELLO, SILENCE, FakeRun, Script
from tests.server.responding import sse, wait_for

ME = "me"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AnswerStore]:
    made = AnswerStore(str(tmp_path / "store"), Limits())
    yield made
    made.close()


def queued(store: AnswerStore, *, is_streamed: bool = True) -> Response:
    response = Response(id="r", created_at=1, model="m", status="queued", background=True)
    store.save(answer_of(response, encode(response), ME, is_streamed=is_streamed), [])
    return response


def start(store: AnswerStore, script: Script, *, is_streamed: bool = True) -> FakeRun:
    run = FakeRun(script, 0)
    encoder = ResponseEncoder(queued(store, is_streamed=is_streamed))
    runs = BackgroundRuns(store, call)
    runs.start(run, encoder, is_streamed=is_streamed)  # type: ignore[arg-type]
    return run


def read(store: AnswerStore) -> Answer:
    answer = store.read("r", ME)
    assert answer is not None
    return answer


def ended(store: AnswerStore) -> Response:
    answer = wait_for(lambda: read(store), lambda a: a.status not in ("queued", "in_progress"))
    response = msgspec.json.decode(answer.body, type=Response)
    assert response.status == answer.status
    return response


def test_a_run_ends_by_itself(store: AnswerStore) -> None:
    start(store, [Heartbeat(), *HELLO])
    response = ended(store)
    assert response.status == "completed"
    assert response.usage is not None
    events = sse(b"".join(store.frames("r", 0)[1]))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    assert events[-1]["type"] == "response.completed"
    link = store.link("r", ME)
    assert link is not None and len(link.items) == 1


def test_its_state_can_be_seen_meanwhile(store: AnswerStore) -> None:
    gate = threading.Event()
    start(store, [ChoiceDelta(0, "a"), lambda: gate.wait(30), ChoiceFinished(0, "stop")])
    wait_for(lambda: read(store).status, lambda status: status == "in_progress")
    assert msgspec.json.decode(read(store).body)["status"] == "in_progress"
    gate.set()
    assert ended(store).status == "completed"


def test_events_are_kept_only_if_they_are_wanted(store: AnswerStore) -> None:
    start(store, HELLO, is_streamed=False)
    assert ended(store).status == "completed"
    assert store.num_frames("r") == 0


def test_a_failure_is_kept(store: AnswerStore) -> None:
    run = start(store, [ChoiceDelta(0, "a"), EngineDied("It died.")])
    response = ended(store)
    assert response.error is not None
    assert (response.status, response.error.code) == ("failed", "server_error")
    assert sse(store.frames("r", 0)[1][-1])[0]["type"] == "response.failed"
    wait_for(lambda: run.open, lambda is_open: not is_open)


def test_any_process_can_end_it(store: AnswerStore, tmp_path: Path) -> None:
    run = start(store, [ChoiceDelta(0, "a"), SILENCE])
    wait_for(lambda: store.num_frames("r"), bool)
    elsewhere = AnswerStore(str(tmp_path / "store"), Limits())
    runs = BackgroundRuns(elsewhere, call)
    runs.end(read(elsewhere))
    response = ended(store)
    assert response.status == "cancelled"
    assert [item.status for item in response.output] == ["incomplete"]
    assert not run.open
    runs.end(read(elsewhere))
    assert ended(store) == response
    assert sse(store.frames("r", 0)[1][-1])[0]["response"]["status"] == "cancelled"
    elsewhere.close()


@pytest.mark.parametrize(
    ("status", "event"), [("failed", "response.failed"), ("cancelled", "response.incomplete")]
)
def test_what_nobody_works_on_is_ended(store: AnswerStore, status: str, event: str) -> None:
    queued(store)
    store.progress("r", [b"0", b"1"], 0)
    end_forsaken(store, read(store), status)
    assert ended(store).status == status
    (last,) = sse(store.frames("r", 2)[1][0])
    assert (last["type"], last["sequence_number"]) == (event, 2)


@pytest.mark.parametrize("body", [b"no JSON", b"{}", b'{"id":"\xff"}'])
def test_what_nobody_works_on_and_nobody_can_read_is_deleted(
    store: AnswerStore, body: bytes
) -> None:
    store.save(Answer("damaged", "", "queued", body), [])
    damaged = store.read("damaged", "")
    assert damaged is not None
    end_forsaken(store, damaged, "failed")
    assert store.read("damaged", "") is None


def test_what_a_dead_process_left_has_failed(store: AnswerStore, tmp_path: Path) -> None:
    dead = AnswerStore(str(tmp_path / "store"), Limits())
    queued(dead)
    fail_forsaken(store)
    assert read(store).status == "queued"
    dead.close()
    fail_forsaken(store)
    response = ended(store)
    assert response.error is not None
    assert (response.status, response.error.message) == ("failed", DIED)


def test_the_end_of_the_server_waits_for_what_has_to_be_written(store: AnswerStore) -> None:
    gate = threading.Event()
    run = FakeRun([lambda: gate.wait(30), EngineDied("stopping")], 0)
    runs = BackgroundRuns(store, call)
    runs.start(run, ResponseEncoder(queued(store)), is_streamed=False)  # type: ignore[arg-type]
    threading.Timer(0.1, gate.set).start()
    runs.close()
    assert read(store).status == "failed"
    runs.close()


def test_a_store_that_fails_ends_the_run(
    store: AnswerStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(store, "progress", fail)
    monkeypatch.setattr(store, "finish", fail)
    run = start(store, [SILENCE])
    wait_for(lambda: run.open, lambda is_open: not is_open)
    wait_for(lambda: caplog.text, lambda text: "could not be kept" in text)


def test_an_end_for_which_there_is_no_room_is_stored_later(
    store: AnswerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    finish, tries = store.finish, iter(range(3))

    def full(*arguments: Any) -> bool:
        if next(tries, None) is not None:
            raise StoreUnwritable("The disk is full.")
        return finish(*arguments)

    monkeypatch.setattr(store, "finish", full)
    start(store, HELLO)
    assert ended(store).status == "completed"
    frames = store.frames("r", 0, 1000)[1]
    numbers = [event["sequence_number"] for event in sse(b"".join(frames))]
    assert numbers == list(range(len(numbers)))


def test_a_server_that_ends_does_not_wait_for_room(
    store: AnswerStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> bool:
        raise StoreUnwritable("The disk is full.")

    monkeypatch.setattr(store, "finish", full)
    runs = BackgroundRuns(store, call)
    runs.start(FakeRun(HELLO, 0), ResponseEncoder(queued(store)), is_streamed=True)  # type: ignore[arg-type]
    wait_for(lambda: caplog.text, lambda text: "Trying again" in text)
    wait_for(runs.num_running, lambda count: count == 0)
    runs.close()
    assert runs.num_running() == 0
    assert read(store).status == "in_progress"
