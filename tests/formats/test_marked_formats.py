from __future__ import annotations

import pytest

from cria.formats.marked_formats import (
    LONG_QUOTE,
    format_texts,
    marked_reasoning,
    marked_tools,
    text_end,
)
from cria.formats.reasoning_format import ReasoningFormat
from cria.formats.special import MARK
from cria.formats.tool_format import Slot, ToolFormat
from tests.formats.answers import DSML, FORMATS, GEMMA, GPT, SPECIAL


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_text_is_forgotten(name: str) -> None:
    tools, reasoning = FORMATS[name]
    texts = set(format_texts(tools, reasoning))
    marked = set(map(SPECIAL.marked, texts))
    assert set(format_texts(marked_tools(tools, SPECIAL.marked))) - {'<|"|>'} <= marked | {""}
    parts = {part for part in tools.call if isinstance(part, str)}
    assert {tools.begin, tools.between, tools.end} | parts <= texts
    if tools.keyed:
        assert {tools.keyed.key_open, tools.keyed.value_close, tools.keyed.close} <= texts


def test_marks() -> None:
    tools = marked_tools(DSML, SPECIAL.marked)
    assert tools.keyed and DSML.keyed
    assert tools.begin == DSML.begin.replace("｜DSML｜", f"{MARK}｜DSML｜")
    assert tools.keyed._replace(
        key_open=DSML.keyed.key_open, value_close=DSML.keyed.value_close
    ) == DSML.keyed  # fmt: skip
    assert marked_tools(ToolFormat(("a", Slot.NAME)), SPECIAL.marked).keyed is None
    reasoning = marked_reasoning(ReasoningFormat("<|end|>", "b", ("<|end|>",)), SPECIAL.marked)
    assert reasoning == ReasoningFormat(f"{MARK}<|end|>", "b", (f"{MARK}<|end|>",))


def test_texts_that_stand_for_others() -> None:
    assert '<|"|>' in format_texts(GEMMA)
    assert any("<|constrain|>" in text for text in format_texts(GPT))
    assert list(format_texts()) == []


@pytest.mark.parametrize(
    ("after", "end"),
    [("}", LONG_QUOTE), ("", LONG_QUOTE), ("\n</tool_call>", "\n</tool_call>"), ("}]}]", "}]}]")],
)
def test_what_ends_the_text_of_a_custom_tool(after: str, end: str) -> None:
    call = ("<a>", Slot.NAME, Slot.ARGUMENTS, *([after] if after else ()))
    assert text_end(ToolFormat(call)) == end
