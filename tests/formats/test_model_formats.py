from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cria.formats.model_formats import ModelFormats, model_formats
from cria.formats.reasoning_format import THINK
from cria.formats.special import Special
from cria.formats.tool_format import HERMES

HEAD, TAIL = '<call>{"name": "', "}</call>"


def draw(
    messages: list[dict[str, Any]],
    *,
    tools: list[dict[str, Any]] | None = None,
    add_generation_prompt: bool = False,
    kwargs: Mapping[str, Any] | None = None,
) -> str:
    """A template of its own kind of calls, and of thinking in the usual marks."""
    written = []
    for message in messages:
        text = message["content"] or ""
        if message.get("reasoning_content"):
            text = f"<think>\n{message['reasoning_content']}\n</think>\n\n{text}"
        for call in message.get("tool_calls", ()):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            text += f'{HEAD}{name}", "arguments": {json.dumps(arguments)}{TAIL}'
        written.append(f"[{message['role']}]{text}[end]")
    return "".join(written)


def test_what_the_template_shows() -> None:
    formats = model_formats("reasoning_content", draw, {"<s>": 3}, takes_tools=True)
    assert formats.reasoning == THINK
    assert (formats.tools.call[0], formats.tools.call[-1]) == (HEAD, TAIL)
    assert formats.special.split("a<s>") == ("a", Special(3, "<s>"))


def test_a_template_that_takes_no_tools_has_the_generic_format() -> None:
    assert model_formats("reasoning_content", draw, {}, takes_tools=False).tools == HERMES


def test_no_template() -> None:
    made = model_formats("", lambda messages, **more: "", {}, takes_tools=False)
    assert (made.tools, made.reasoning) == (HERMES, None)
    assert ModelFormats().tools == HERMES
