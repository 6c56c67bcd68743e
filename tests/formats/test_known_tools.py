from __future__ import annotations

import pytest

from cria.formats import known_tools
from cria.formats.known_tools import known_tool_format, tool_format
from cria.formats.tool_format import ToolFormat, write_calls
from tests.formats.families import CALL, JSON_TEMPLATES, TAGGED_TEMPLATES
from tests.formats.source_templates import drawing, template_source

KNOWN = {
    "openai-gpt-oss-120b": known_tools.GPT_OSS,
    "google-gemma-4-31B-it": known_tools.GEMMA,
    "LFM2.5-8B-A1B": known_tools.LFM2,
    "LFM2-8B-A1B": known_tools.LFM2,
    "meetkai-functionary-medium-v3.2": known_tools.FUNCTIONARY,
    "meta-llama-Llama-3.1-8B-Instruct": known_tools.LLAMA,
    "meta-llama-Llama-3.3-70B-Instruct": known_tools.LLAMA,
    "Kimi-K3": known_tools.KIMI_K3,
}


@pytest.mark.parametrize(("name", "format"), KNOWN.items())
def test_their_templates_are_recognised(name: str, format: ToolFormat) -> None:
    source = template_source(name)
    assert tool_format(source, drawing(source)) is format


@pytest.mark.parametrize("name", [*JSON_TEMPLATES, *TAGGED_TEMPLATES])
def test_others_are_not(name: str) -> None:
    assert known_tool_format(template_source(name)) is None


@pytest.mark.parametrize(("name", "format"), KNOWN.items())
def test_they_are_what_the_templates_write(name: str, format: ToolFormat) -> None:
    calls = [CALL]  # the arguments of the other one are written in another order by some
    turn = {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in calls
        ],
    }
    text = drawing(template_source(name))([{"role": "user", "content": "Hi"}, turn])
    if name == "LFM2-8B-A1B":
        assert CALL.name not in text, "this one drops calls"
    else:
        # One of them counts from 1.
        written = write_calls(format, calls).replace('index="0"', 'index="1"')
        assert written in text


def test_nothing_is_known_of_an_empty_template() -> None:
    assert tool_format("", drawing("")) is None
