from __future__ import annotations

from typing import Any

import pytest

from cria.api.anthropic.turns import same_for_all
from tests.api.anthropic.asking import HI, as_chat

ANSWER = {"role": "assistant", "content": "yes"}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def rendered(*messages: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return as_chat(messages=list(messages), **fields)[0].template_messages()


def roles(*messages: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["role"], each["content"]) for each in rendered(*messages)]


def test_system_comes_first() -> None:
    assert rendered(HI, system="s")[0] == {"role": "system", "content": "s"}
    assert rendered(HI, system=[text("s"), text("t")])[0]["content"] == "s\nt"
    assert rendered(HI, system="") == rendered(HI, system=[]) == rendered(HI)


def test_a_system_message_stays_where_it_is() -> None:
    found = roles(HI, {"role": "system", "content": "s"}, ANSWER)
    assert found == [("user", "hi"), ("system", "s"), ("assistant", "yes")]


def test_text_and_a_block_of_it_are_the_same() -> None:
    assert rendered(HI) == rendered({"role": "user", "content": [text("hi")]})


def test_messages_of_one_role_become_one() -> None:
    found = roles(HI, {"role": "user", "content": [text("a"), text("b")]}, ANSWER, ANSWER)
    assert found == [("user", "hi\na\nb"), ("assistant", "yes\nyes")]


def test_results_come_before_what_the_user_says() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [text("1"), text("2")]}
    found = rendered(
        {"role": "user", "content": [text("and?"), result, {**result, "tool_use_id": "u"}]}
    )
    assert [each["role"] for each in found] == ["tool", "tool", "user"]
    assert [each.get("tool_call_id") for each in found] == ["t", "u", None]
    assert [each["content"] for each in found] == ["1\n2", "1\n2", "and?"]


def test_results_alone_are_no_word_of_the_users() -> None:
    result = {"type": "tool_result", "tool_use_id": "t"}
    assert roles({"role": "user", "content": [result]}) == [("tool", "")]
    assert roles({"role": "user", "content": []}) == [("user", "")]


@pytest.mark.parametrize(
    ("content", "told"), [("no", "Error: no"), ("Error: no", "Error: no"), (None, "Error: ")]
)
def test_a_failed_tool_is_told_of(content: str | None, told: str) -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": True}
    assert roles({"role": "user", "content": [result]}) == [("tool", told)]


def test_a_found_text_is_read() -> None:
    found = {"type": "search_result", "source": "s", "title": "t", "content": [text("c")]}
    assert roles({"role": "user", "content": [found, text("?")]}) == [("user", "t\ns\nc\n?")]


def test_an_answer_with_thinking_and_calls() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, 2.5, "é"]}}
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "x"}
    (_, made) = rendered(HI, {"role": "assistant", "content": [thinking, redacted, text("a"), use]})
    assert (made["content"], made["reasoning_content"]) == ("a", "hm")
    assert made["tool_calls"] == [
        {
            "id": "toolu_1",
            "type": "function",
            "function": {"name": "f", "arguments": '{"a":[1,2.5,"é"]}'},
        }
    ]


def test_an_answer_at_the_end_is_continued_unless_it_calls() -> None:
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    assert as_chat(messages=[HI, ANSWER])[0].continues_last
    assert not as_chat(messages=[HI])[0].continues_last
    assert not as_chat(messages=[HI, {"role": "assistant", "content": [use]}])[0].continues_last


def test_paths_lead_back() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "1"}
    messages = [HI, ANSWER, {"role": "user", "content": [text("x"), result]}, HI]
    _, origins = as_chat(messages=messages, system="s")
    assert origins.messages == (
        "system",
        "messages[0]",
        "messages[1]",
        "messages[2].content[1]",
        "messages[2]",
    )


def test_what_a_client_changes_every_time_does_not_keep_a_prompt_out_of_the_cache() -> None:
    head = "x-anthropic-billing-header: cc_version=2.1; cch="
    assert same_for_all(f"{head}a1b2c; x") == same_for_all(f"{head}00fff; x") == f"{head}00000; x"
    assert same_for_all("about cch=a1b2c") == "about cch=a1b2c"
    assert rendered(HI, system=[text(f"{head}abcde;")])[0]["content"] == f"{head}00000;"
