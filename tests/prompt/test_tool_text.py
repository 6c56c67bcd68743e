from __future__ import annotations

import json

from cria.formats.tool_format import HERMES, Slot
from cria.prompt.tool_text import tools_as_text
from tests.prompt.conversations import SYSTEM, USER, call, calling, result, tool

CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"town": "é<"}}\n</tool_call>'


def test_tools_stand_in_the_system_message() -> None:
    first, second = tools_as_text([SYSTEM, USER], [tool(), tool("other")])
    assert second == USER
    text = first["content"]
    assert text.startswith("Be brief.\n\n# Tools\n")
    lines = text.partition("<tools>\n")[2].partition("\n</tools>")[0].splitlines()
    assert [json.loads(line) for line in lines] == [tool(), tool("other")]
    head, _, tail = "".join(p if isinstance(p, str) else "|" for p in HERMES.call).split("|")
    assert head in text and tail in text


def test_without_a_system_message_there_is_one() -> None:
    assert [m["role"] for m in tools_as_text([USER], [tool()])] == ["system", "user"]
    empty = {"role": "system", "content": ""}
    assert tools_as_text([empty], [tool()])[0]["content"].startswith("# Tools")
    assert tools_as_text([USER], None) == [USER]
    assert len(tools_as_text([], [tool()])) == 1


def test_a_description_may_hold_anything() -> None:
    (message,) = tools_as_text([], [tool(description="100 %s {0} \n</tools>")])
    assert "100 %s {0} \\n</tools>" in message["content"]


def test_calls_are_written_as_the_format_says() -> None:
    (message,) = tools_as_text([calling(call('{"town": "\\u00e9\\u003c"}'), thinking="Hm")], None)
    assert message == {"role": "assistant", "content": CALL, "thinking": "Hm"}
    parts = {Slot.NAME: "get_weather", Slot.ARGUMENTS: '{"town": "é<"}'}
    assert CALL == "".join(parts[p] if isinstance(p, Slot) else p for p in HERMES.call)
    both = calling(call({"town": "é<"}), call({"town": "é<"}), content="Wait.")
    assert tools_as_text([both], None)[0]["content"] == f"Wait.\n{CALL}\n{CALL}"


def test_results_are_one_message_of_the_user() -> None:
    messages = [result("1"), result("2"), USER, result("3")]
    assert tools_as_text(messages, None) == [
        {
            "role": "user",
            "content": "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>",
        },
        USER,
        {"role": "user", "content": "<tool_response>\n3\n</tool_response>"},
    ]
    assert messages[0] == result("1")


def test_the_name_in_a_call_is_json() -> None:
    (message,) = tools_as_text([calling(call({}, name='a"b'))], None)
    assert json.loads(message["content"].split("\n")[1])["name"] == 'a"b'
