from __future__ import annotations

from typing import Any

import pytest

from cria.prompt.chat_template import ChatTemplate
from cria.prompt.message_form import MessageForm
from tests.prompt import templates

SYSTEM = {"role": "system", "content": "Be brief."}
LATE = {"role": "system", "content": "In French."}
USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Yes?"}


def call(arguments: object) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    calls = [{"id": "c", "type": "function", "function": function}]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def arguments_of(message: dict[str, Any]) -> object:
    return message["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize(
    ("source", "form"),
    [
        (templates.CHATML, MessageForm()),
        (templates.NO_SYSTEM, MessageForm(system_role="nowhere")),
        (templates.SYSTEM_FIRST, MessageForm(system_role="first")),
        (templates.ARGUMENTS_AS_TEXT, MessageForm(arguments_as_dict=False)),
        (templates.PRINTS_ARGUMENTS, MessageForm(arguments_as_dict=False)),
        (templates.DROPS_THINKING, MessageForm()),
        ("", MessageForm()),
    ],
)
def test_the_probe_finds_what_a_template_takes(source: str, form: MessageForm) -> None:
    assert ChatTemplate(source, "<s>", "</s>").form == form


def test_by_default_messages_stay_as_they_are() -> None:
    messages = [SYSTEM, USER, ANSWER, LATE, USER]
    assert MessageForm().normalise(messages) == messages


def test_system_messages_become_the_first_one() -> None:
    form = MessageForm(system_role="first")
    merged = {"role": "system", "content": "Be brief.\n\nIn French."}
    assert form.normalise([SYSTEM, USER, LATE, USER]) == [merged, USER, USER]
    assert form.normalise([USER]) == [USER]


def test_system_messages_join_the_first_user_message() -> None:
    form = MessageForm(system_role="nowhere")
    joined = {"role": "user", "content": "Be brief.\n\nIn French.\n\nHi"}
    assert form.normalise([SYSTEM, ANSWER, USER, LATE, USER]) == [ANSWER, joined, USER]
    assert form.normalise([SYSTEM]) == [{"role": "user", "content": "Be brief."}]
    assert form.normalise([USER]) == [USER]
    assert USER["content"] == "Hi"


@pytest.mark.parametrize(
    ("arguments", "as_dict", "as_text"),
    [
        ('{"a": "\\u003cs>"}', {"a": "<s>"}, '{"a": "<s>"}'),
        ({"a": "é"}, {"a": "é"}, '{"a": "é"}'),
        ("", {}, "{}"),
        ("not json", "not json", "not json"),
        ("[1]", "[1]", "[1]"),
    ],
)
def test_arguments_are_an_object_or_its_text(
    arguments: object, as_dict: object, as_text: str
) -> None:
    message = call(arguments)
    assert arguments_of(MessageForm().normalise([message])[0]) == as_dict
    assert arguments_of(MessageForm(arguments_as_dict=False).normalise([message])[0]) == as_text
    assert arguments_of(message) == arguments
