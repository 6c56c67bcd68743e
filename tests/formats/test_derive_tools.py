from __future__ import annotations

import json
from typing import Any

import pytest

from cria.formats.derive_tools import derive_tool_format
from cria.formats.tool_format import HERMES, Slot
from tests.formats.families import JSON_TEMPLATES, NO_CALLS, TAGGED_TEMPLATES
from tests.formats.source_templates import drawing, template_source

QWEN = (
    "{% set eol = '\\n' %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls %}{% if not loop.first or m.content %}{{ eol }}{% endif %}"
    "<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n'
    "</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_a_template_of_the_usual_kind() -> None:
    assert derive_tool_format(drawing(QWEN)) == HERMES


def test_a_template_without_calls() -> None:
    source = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert derive_tool_format(drawing(source)) is None


def test_calls_without_a_mark() -> None:
    source = QWEN.replace("<tool_call>\n", "").replace("\n</tool_call>", "")
    assert derive_tool_format(drawing(source)) is None


def test_a_template_that_refuses_everything() -> None:
    def draw(messages: list[dict[str, Any]], **options: Any) -> str:
        return ""

    assert derive_tool_format(draw) is None


@pytest.mark.parametrize(("name", "begin"), (JSON_TEMPLATES | TAGGED_TEMPLATES).items())
def test_families(name: str, begin: str) -> None:
    format = derive_tool_format(drawing(template_source(name)))
    assert format is not None
    texts = format.begin + "".join(part for part in format.call[:1] if isinstance(part, str))
    assert texts.startswith(begin)
    assert (format.keyed is not None) == (name in TAGGED_TEMPLATES)
    everything = json.dumps([str(part) for part in (*format.call, *format[1:4])])
    assert "im_end" not in everything and "</s>" not in everything and "zq" not in everything


@pytest.mark.parametrize("name", NO_CALLS)
def test_templates_without_calls(name: str) -> None:
    assert derive_tool_format(drawing(template_source(name))) is None


def test_ids_and_indexes() -> None:
    kimi = derive_tool_format(drawing(template_source("moonshotai-Kimi-K2")))
    nemo = derive_tool_format(drawing(template_source("mistralai-Mistral-Nemo-Instruct-2407")))
    assert kimi and Slot.INDEX in kimi.call
    assert nemo and Slot.ID in nemo.call


def test_a_format_that_tells_text_from_json() -> None:
    format = derive_tool_format(drawing(template_source("deepseek-ai-DeepSeek-V3.2")))
    assert format and format.keyed
    assert format.keyed.key_close_text == '" string="true">'
    assert format.keyed.key_close == '" string="false">'
