from __future__ import annotations

import json

from cria.prompt.message_form import REASONING_FIELDS, MessageForm
from tests.prompt.conversations import SYSTEM, USER, call, calling, tool

LATE = {"role": "system", "content": "In French."}
ANSWER = {"role": "assistant", "content": "Yes?"}


def test_by_default_messages_stay_as_they_are() -> None:
    messages = [SYSTEM, USER, ANSWER, LATE, USER, calling(call())]
    assert MessageForm().normalise(messages) == messages


def test_system_messages_become_the_first_one() -> None:
    form = MessageForm(system_role="first")
    merged = {"role": "system", "content": "Be brief.\n\nIn French."}
    assert form.normalise([SYSTEM, USER, LATE, USER]) == [merged, USER, USER]
    assert form.normalise([USER]) == [USER]


def test_system_messages_join_the_first_user_message() -> None:
    form = MessageForm(system_role="nowhere")
    joined = {"role": "user", "content": "Be brief.\n\nIn French.\n\nWeather?"}
    assert form.normalise([SYSTEM, ANSWER, USER, LATE, USER]) == [ANSWER, joined, USER]
    assert form.normalise([SYSTEM]) == [{"role": "user", "content": "Be brief."}]
    assert form.normalise([USER]) == [USER]
    assert USER["content"] == "Weather?"


def test_no_content_is_an_empty_one() -> None:
    (message,) = MessageForm().normalise([{"role": "assistant", "content": None}])
    assert message["content"] == ""


def test_thinking_has_all_its_names() -> None:
    for name in REASONING_FIELDS:
        (message,) = MessageForm().normalise([ANSWER | {name: "Hm."}])
        assert {field: message[field] for field in REASONING_FIELDS} == dict.fromkeys(
            REASONING_FIELDS, "Hm."
        )
    assert MessageForm().normalise([ANSWER | {"thinking": ""}]) == [ANSWER | {"thinking": ""}]


def test_a_content_beside_calls_can_join_the_thinking() -> None:
    form = MessageForm(joins_thinking=True)
    (message,) = form.normalise([calling(call(), content="Wait.", thinking="Hm.")])
    assert (message["content"], message["thinking"]) == ("", "Hm.\n\nWait.")
    (message,) = form.normalise([ANSWER | {"thinking": "Hm."}])
    assert (message["content"], message["thinking"]) == ("Yes?", "Hm.")


def test_without_tools_there_is_no_such_variable() -> None:
    assert MessageForm().variables([USER], None) == {"messages": [USER]}
    assert MessageForm().variables([USER], []) == {"messages": [USER]}
    assert MessageForm().variables([USER], [tool()])["tools"] == [tool()]


def test_functions_are_text() -> None:
    form = MessageForm(supplies_functions=True)
    given = form.variables([USER], [tool()])
    assert json.loads(given["functions"]) == [tool()]
    assert json.loads(form.variables([USER], None)["functions"]) == []
    assert given["datetime"].count(" ") == 2


def test_what_may_be_changed_is_a_copy() -> None:
    tools, messages = [tool()], [calling(call())]
    given = MessageForm(may_append=True).variables(messages, tools)
    assert given["tools"] == tools and given["tools"][0] is not tools[0]
    given["messages"][0]["tool_calls"].append(1)
    assert len(messages[0]["tool_calls"]) == 1
