"""Items are kept whole, and read again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cria.api.responses.input_items import Kept, MessageInput
from cria.api.responses.kept_items import of_text, read_stored, stored, stored_output
from cria.api.responses.output_items import OutputMessage, OutputText
from cria.errors import RequestError
from tests.api.responses.making import made

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def kept(*items: dict[str, Any]) -> list[Kept]:
    return made(input=list(items)).items  # type: ignore[return-value]


def test_a_text_is_a_message_with_all_members() -> None:
    (item,) = stored([of_text("hi")])
    found = json.loads(item.body)
    assert found == {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "hi"}],
        "id": item.id,
        "status": "completed",
    }
    assert item.id.startswith("msg_")


@pytest.mark.parametrize(
    ("item", "prefix"),
    [
        (CALL, "fc_"),
        ({"type": "function_call_output", "call_id": "c", "output": "x"}, "fco_"),
        ({"type": "custom_tool_call", "call_id": "c", "name": "g", "input": "x"}, "ctc_"),
        ({"type": "custom_tool_call_output", "call_id": "c", "output": "x"}, "ctco_"),
        ({"type": "reasoning", "summary": []}, "rs_"),
    ],
)
def test_every_kind_gets_an_id_and_is_read_again(item: dict[str, Any], prefix: str) -> None:
    (before,) = kept(item)
    (each,) = stored([before])
    assert each.id.startswith(prefix)
    assert item.items() <= json.loads(each.body).items()
    again = json.loads(stored([read_stored(each.body)])[0].body)
    assert again == json.loads(each.body)


def test_given_ids_are_kept_once() -> None:
    first, second = stored(kept({**CALL, "id": "fc_1"}, {**CALL, "id": "fc_1"}))
    assert first.id == "fc_1" != second.id


def test_what_the_assistant_said_is_output_text() -> None:
    (item,) = stored([MessageInput("assistant", "a")])
    assert json.loads(item.body)["content"] == [{"type": "output_text", "text": "a"}]


def test_output_is_read_as_input() -> None:
    (item,) = stored_output([OutputMessage("msg_1", "completed", [OutputText("a")])])
    message = read_stored(item.body)
    assert isinstance(message, MessageInput)
    assert (item.id, message.id, message.role) == ("msg_1", "msg_1", "assistant")


@pytest.mark.parametrize("body", [b'{"type":"message"}', b"no JSON", b"{", b'"\xff"'])
def test_what_cannot_be_read_is_an_error(body: bytes) -> None:
    with pytest.raises(RequestError):
        read_stored(body)
