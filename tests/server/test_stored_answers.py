"""What a request goes on from, found in the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cria.answer_store.store import Answer
from cria.api.responses.input_items import Kept, MessageInput, text_of
from cria.api.responses.output_items import OutputMessage, OutputText
from cria.api.responses.response_object import Response
from cria.config import ServerConfig
from cria.errors import RequestError, StoredNotFound
from cria.generation.run import call
from cria.server.stored_answers import StoredAnswers, answer_of, encode, input_items
from tests.api.responses.making import made

ME = "me"


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[StoredAnswers]:
    opened = StoredAnswers.open(ServerConfig(response_store=str(tmp_path / "store")), call)
    yield opened
    assert opened.store is not None
    opened.store.close()


def keep(answers: StoredAnswers, name: str, asked: str, previous: str | None = None) -> Response:
    message = OutputMessage(f"msg_{name}", "completed", [OutputText(f"answer to {asked}")])
    response = Response(
        id=name,
        created_at=1,
        model="m",
        status="completed",
        output=[message],
        previous_response_id=previous,
    )
    answers.save(response, encode(response), [MessageInput("user", asked)], ME)
    return response


def texts(items: list[Kept]) -> list[str]:
    return [text_of(item.content) for item in items if isinstance(item, MessageInput)]


def test_a_chain_is_told_from_its_beginning(answers: StoredAnswers) -> None:
    keep(answers, "r1", "one")
    keep(answers, "r2", "two", "r1")
    before, new = answers.context(made(input="three", previous_response_id="r2"), ME)
    assert texts(before) == ["one", "answer to one", "two", "answer to two"]
    assert texts(new) == ["three"]


@pytest.mark.parametrize(("previous", "owner"), [("r9", ME), ("r2", "you")])
def test_what_is_not_there_is_named(answers: StoredAnswers, previous: str, owner: str) -> None:
    keep(answers, "r2", "two")
    with pytest.raises(RequestError, match=f"Previous response with id '{previous}' not") as caught:
        answers.context(made(previous_response_id=previous), owner)
    assert caught.value.param == "previous_response_id"
    assert caught.value.code == "previous_response_not_found"


def test_a_chain_with_a_gap_is_an_error(answers: StoredAnswers) -> None:
    keep(answers, "r1", "one")
    keep(answers, "r2", "two", "r1")
    answers.delete("r1", ME)
    with pytest.raises(RequestError, match="with id 'r1' not found"):
        answers.context(made(previous_response_id="r2"), ME)


def test_what_is_still_being_made_cannot_be_gone_on_from(answers: StoredAnswers) -> None:
    assert answers.store is not None
    answers.store.save(Answer("r1", ME, "in_progress", b"{}"), [])
    with pytest.raises(RequestError, match="in_progress"):
        answers.context(made(previous_response_id="r1"), ME)


def test_items_are_found_by_their_ids(answers: StoredAnswers) -> None:
    keep(answers, "r1", "one")
    items = [{"type": "item_reference", "id": "msg_r1"}, {"role": "user", "content": "two"}]
    assert texts(answers.context(made(input=items), ME).new) == ["answer to one", "two"]
    with pytest.raises(StoredNotFound, match="Item with id 'msg_r1' not found"):
        answers.context(made(input=items), "you")


def test_what_is_not_read_is_left_out(answers: StoredAnswers) -> None:
    items = [{"type": "compaction"}, {"role": "user", "content": "a"}]
    assert texts(answers.context(made(input=items), ME).new) == ["a"]


def test_a_response_is_read_and_deleted(answers: StoredAnswers) -> None:
    response = keep(answers, "r1", "one")
    assert msgspec.json.decode(answers.read("r1", ME).body, type=Response) == response
    (item,) = answers.inputs("r1", ME)
    assert msgspec.json.decode(item.body)["content"][0]["text"] == "one"
    answers.delete("r1", ME)
    for ask in (answers.read, answers.delete, answers.inputs):
        with pytest.raises(StoredNotFound, match="Response with id 'r1' not found"):
            ask("r1", ME)


@pytest.mark.parametrize(
    ("fields", "expected"), [({}, True), ({"store": True}, True), ({"store": False}, False)]
)
def test_what_is_stored(answers: StoredAnswers, fields: dict[str, Any], expected: bool) -> None:
    assert answers.is_stored(made(**fields)) is expected


@pytest.mark.parametrize("fields", [{"store": True}, {"background": True}])
def test_without_a_store_nothing_can_be_kept(fields: dict[str, Any]) -> None:
    nothing = StoredAnswers.open(ServerConfig(response_store=None), call)
    assert not nothing.is_stored(made())
    with pytest.raises(RequestError) as caught:
        nothing.is_stored(made(**fields))
    assert caught.value.param in fields
    for ask in (nothing.read, nothing.delete):
        with pytest.raises(StoredNotFound):
            ask("r1", ME)
    with pytest.raises(RequestError) as missing:
        nothing.context(made(previous_response_id="r1"), ME)
    assert missing.value.code == "previous_response_not_found"
    nothing.save(Response(id="r", created_at=1, model="m"), b"", [], ME)


def test_the_background_needs_a_response_that_is_stored(answers: StoredAnswers) -> None:
    with pytest.raises(RequestError) as caught:
        answers.is_stored(made(background=True, store=False))
    assert caught.value.param == "background"


def test_rows() -> None:
    response = Response(id="r", created_at=1, model="m", background=True, previous_response_id="p")
    assert answer_of(response, b"x", ME, is_streamed=True) == Answer(
        "r", ME, "in_progress", b"x", 0.0, "p", True, True
    )
    assert len(input_items([MessageInput("user", "a")])) == 1
