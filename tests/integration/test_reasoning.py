"""Thinking that is told from the answer: the default model with a template that makes it think.

It never ends its thinking by itself; a budget does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import openai
import pytest

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

CHAT = "/v1/chat/completions"
HI: Any = [{"role": "user", "content": "Hi"}]
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.reasoning_content -%}
<think>
{{ message.reasoning_content }}
</think>

{% endif -%}
{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{{ "<think>\\n\\n</think>\\n\\n" if enable_thinking is false else "<think>\\n" }}
{%- endif -%}
"""
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"enum": [1, 2]}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "save", "parameters": PERSON}}
BUDGET = {"reasoning_budget": 6}


@pytest.fixture(scope="module")
def server(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    folder = tmp_path_factory.mktemp("thinking")
    template = folder / "template.jinja"
    template.write_text(TEMPLATE)
    options = ("--alias", "m", "--chat-template", str(template))
    with RealServer.start(default_model, *options, log=folder / "log") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def ask(server: RealServer, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The choice and the usage."""
    body = {"model": "m", "messages": HI, "temperature": 0, "max_tokens": 60, **fields}
    answer = server.post(CHAT, body)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0], answer.json()["usage"]


def test_all_is_thinking_until_it_ends(server: RealServer) -> None:
    choice, usage = ask(server, max_tokens=10)
    message = choice["message"]
    assert message["reasoning_content"] and message["content"] == ""
    assert choice["finish_reason"] == "length"
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 10


def test_a_budget_ends_it(server: RealServer) -> None:
    choice, usage = ask(server, **BUDGET)
    message = choice["message"]
    assert message["reasoning_content"] and message["content"]
    assert "think>" not in message["reasoning_content"]
    assert not message["content"].startswith("</think>")
    details = usage["completion_tokens_details"]
    assert 6 <= details["reasoning_tokens"] <= 12, "the mark that ends it has tokens too"
    assert details["reasoning_tokens"] < usage["completion_tokens"]


def test_it_can_be_turned_off(server: RealServer) -> None:
    for off in ({"reasoning_effort": "none"}, {"reasoning_budget": 0}, {"enable_thinking": False}):
        choice, usage = ask(server, **off, max_tokens=12)
        assert "reasoning_content" not in choice["message"] and choice["message"]["content"]
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


def test_it_can_stay_where_it_is_or_be_left_out(server: RealServer) -> None:
    inline, _ = ask(server, **BUDGET, reasoning_format="none")
    assert "</think>" in inline["message"]["content"]
    assert "reasoning_content" not in inline["message"]
    hidden, usage = ask(server, reasoning={"max_tokens": 6, "exclude": True})
    assert hidden["message"]["content"] and "reasoning_content" not in hidden["message"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] >= 6


def test_a_stream_has_the_same_parts(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="m", messages=HI, temperature=1, seed=3, max_tokens=60, stream=True, extra_body=BUDGET
    )
    order = []
    for chunk in stream:
        delta = chunk.choices[0].delta
        if getattr(delta, "reasoning_content", None):
            order.append("reasoning")
            assert not delta.content
        elif delta.content:
            order.append("content")
    assert order == sorted(order, reverse=True) and set(order) == {"reasoning", "content"}


def test_a_shape_holds_for_the_answer(server: RealServer) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}
    choice, _ = ask(server, **BUDGET, response_format=wanted)
    jsonschema.validate(json.loads(choice["message"]["content"]), PERSON)
    assert choice["message"]["reasoning_content"]


def test_a_call_follows_it(server: RealServer) -> None:
    choice, _ = ask(server, **BUDGET, tools=[TOOL], tool_choice="required", temperature=1, seed=5)
    (call,) = choice["message"]["tool_calls"][:1]
    jsonschema.validate(json.loads(call["function"]["arguments"]), PERSON)
    assert choice["message"]["reasoning_content"]


def test_stop_strings_are_looked_for_in_the_answer_alone(server: RealServer) -> None:
    free, _ = ask(server, **BUDGET)
    first = free["message"]["reasoning_content"][0]
    stopped, _ = ask(server, **BUDGET, stop=first)
    assert stopped["message"]["reasoning_content"][0] == first
    assert first not in (stopped["message"]["content"] or "")


def test_thinking_can_be_sent_back(server: RealServer) -> None:
    past = {"role": "assistant", "content": "Hello", "reasoning_content": "A greeting."}
    body = {"model": "m", "messages": [*HI, past, *HI]}
    prompt = server.post("/apply-template", body).json()["prompt"]
    assert "<think>\nA greeting.\n</think>\n\nHello" in prompt
