from __future__ import annotations

import pytest

from cria.prompt import call_form
from tests.prompt.conversations import USER, call, calling, result, tool

LONG = "call_abcdefghijklmnopqrstuvwx"


def test_tools_are_used_by_calls_and_results() -> None:
    assert call_form.uses_tools([USER, calling(call())])
    assert call_form.uses_tools([result()])
    assert not call_form.uses_tools([USER, {"role": "assistant", "content": ""}])


def test_a_result_gets_the_name_of_its_call() -> None:
    messages = [calling(call(id="a"), call(id="b", name="other")), result(id="b"), result(id="a")]
    matched = call_form.with_matched_results(messages)
    assert [message["name"] for message in matched[1:]] == ["other", "get_weather"]
    assert "name" not in messages[1]
    named = result(id="a") | {"name": "mine"}
    assert call_form.with_matched_results([messages[0], named])[1]["name"] == "mine"
    assert "name" not in call_form.with_matched_results([result(id="unknown")])[0]


def test_calls_without_an_id_get_one_and_so_do_their_results() -> None:
    older = {"role": "tool", "content": "1", "name": "other"}
    messages = [calling(call(id=""), call(id="", name="other")), older, result(id="")]
    first, second, third = call_form.with_matched_results(messages)
    assert [each["id"] for each in first["tool_calls"]] == ["call00001", "call00002"]
    assert (second["tool_call_id"], third["tool_call_id"]) == ("call00002", "call00001")
    assert call_form.with_matched_results([older])[0]["tool_call_id"] == ""


def test_short_ids_are_the_same_for_call_and_result() -> None:
    first, second = call_form.with_short_ids([calling(call(id=LONG)), result(id=LONG)])
    short = first["tool_calls"][0]["id"]
    assert len(short) == 9 and short.isalnum()
    assert second["tool_call_id"] == short
    kept = call_form.with_short_ids([calling(call(id="a1b2c3d4e"))])[0]
    assert kept["tool_calls"][0]["id"] == "a1b2c3d4e"


def test_each_call_can_have_a_message_with_its_result_behind_it() -> None:
    both = calling(call(id="a"), call(id="b"), content="Wait.", thinking="Hm.")
    messages = [USER, both, result("A", id="a"), result("B", id="b"), USER]
    single = call_form.with_single_calls(messages)
    assert [m["content"] for m in single] == ["Weather?", "Wait.", "A", "", "B", "Weather?"]
    assert [len(m.get("tool_calls", ())) for m in single] == [0, 1, 0, 1, 0, 0]
    assert "thinking" not in single[3]
    unanswered = call_form.with_single_calls([both])
    assert [m["tool_calls"][0]["id"] for m in unanswered] == ["a", "b"]


def test_what_is_said_beside_calls_can_stand_before_them() -> None:
    said, calls = call_form.with_separate_content([calling(call(), content="Wait.", thinking="Hm")])
    assert said == {"role": "assistant", "content": "Wait.", "thinking": "Hm"}
    assert calls == calling(call())
    assert call_form.with_separate_content([USER, calling(call())]) == [USER, calling(call())]


@pytest.mark.parametrize(
    ("arguments", "as_dict", "as_text"),
    [
        ('{"a": "\\u003cs>"}', {"a": "<s>"}, '{"a": "<s>"}'),
        ({"a": "é"}, {"a": "é"}, '{"a": "é"}'),
        ("", {}, "{}"),
        (None, {}, "{}"),
        ("not json", "not json", "not json"),
        ("[1]", "[1]", "[1]"),
    ],
)
def test_arguments_are_an_object_or_its_text(
    arguments: object, as_dict: object, as_text: str
) -> None:
    message = calling(call() | {"function": {"name": "f", "arguments": arguments}})

    def converted(*, as_dict: bool) -> object:
        (changed,) = call_form.with_arguments([message], as_dict=as_dict)
        return changed["tool_calls"][0]["function"]["arguments"]

    assert converted(as_dict=True) == as_dict
    assert converted(as_dict=False) == as_text
    assert message["tool_calls"][0]["function"]["arguments"] == arguments
    assert list(call_form.calls_of(message)) == [("f", as_text)]


def test_every_property_can_have_a_description() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "null"}, "description": {}, "y": True}}
    given = tool(parameters={"type": "object", "properties": {"items": [inner], "in": inner}})
    (described,) = call_form.with_descriptions([given])
    properties = described["function"]["parameters"]["properties"]
    assert properties["in"]["properties"]["x"] == {"description": "", "type": "null"}
    assert properties["in"]["properties"]["description"] == {"description": ""}
    assert properties["in"]["properties"]["y"] is True
    assert "description" not in inner["properties"]["x"]  # type: ignore[index]
    (kept,) = call_form.with_descriptions([tool()])
    assert kept["function"]["parameters"]["properties"]["days"]["description"] == "How many"


def test_half_of_a_pair_in_arguments_is_no_text_for_a_prompt() -> None:
    arguments = '{"a": "\\ud800", "b": "\\ud83d\\ude00"}'
    assert call_form.as_object(arguments) == {"a": "?", "b": "\U0001f600"}
    assert call_form.as_text(arguments) == '{"a": "?", "b": "\U0001f600"}'
    assert call_form.as_object('"\\ud800') == '"\\ud800'
