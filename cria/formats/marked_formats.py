"""Formats as a parser reads them: with the marks of control tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cria.formats.reasoning_format import ReasoningFormat
from cria.formats.tool_format import KeyedArguments, Slot, ToolFormat

QUOTE = '<|"|>'
"""Around the strings of values that are written `quoted`."""
LONG_QUOTE = "'''"
"""The same of a custom tool's text in Python, and where no other mark ends it; escapes nothing."""
_MIN_END = 4
"""Characters of a mark that no text is likely to hold."""

SPELLINGS = {
    # gpt-oss writes this as its template does, or as it was trained.
    "<|channel|>commentary json<|message|>": (
        " <|constrain|>json<|message|>",
        " json<|message|>",
        " <|message|>",
    ),
}
"""What models write instead of a text of their format."""


def format_texts(
    tools: ToolFormat | None = None, reasoning: ReasoningFormat | None = None
) -> Iterator[str]:
    """All texts in which a control token matters: those tokens must be told from plain text."""
    if reasoning:
        yield from (reasoning.open, reasoning.close, *reasoning.headers)
    if not tools:
        return
    yield from (tools.begin, tools.between, tools.end)
    for part in tools.call:
        if isinstance(part, str):
            yield from (part, *SPELLINGS.get(part, ()))
    if tools.keyed:
        yield from _keyed_texts(tools.keyed)
        if tools.keyed.values == "quoted":
            yield QUOTE


def text_end(tools: ToolFormat) -> str:
    """What stands behind a custom tool's text in place of the arguments; `LONG_QUOTE` if nothing
    does that the text could not hold as well.
    """
    after = tools.call[tools.call.index(Slot.ARGUMENTS) + 1 :]
    end = next((part for part in after if isinstance(part, str)), "")
    return end if len(end.strip()) >= _MIN_END else LONG_QUOTE


def marked_tools(tools: ToolFormat, marked: Callable[[str], str]) -> ToolFormat:
    """The same with all its texts marked."""
    return tools._replace(
        call=tuple(part if isinstance(part, Slot) else marked(part) for part in tools.call),
        begin=marked(tools.begin),
        between=marked(tools.between),
        end=marked(tools.end),
        keyed=tools.keyed and _marked_keyed(tools.keyed, marked),
    )


def marked_reasoning(reasoning: ReasoningFormat, marked: Callable[[str], str]) -> ReasoningFormat:
    """The same with all its texts marked."""
    headers = tuple(map(marked, reasoning.headers))
    return ReasoningFormat(marked(reasoning.open), marked(reasoning.close), headers)


def _marked_keyed(keyed: KeyedArguments, marked: Callable[[str], str]) -> KeyedArguments:
    return KeyedArguments(
        key_open=marked(keyed.key_open),
        key_close=marked(keyed.key_close),
        value_close=marked(keyed.value_close),
        values=keyed.values,
        open=marked(keyed.open),
        between=marked(keyed.between),
        close=marked(keyed.close),
        key_close_text=None if keyed.key_close_text is None else marked(keyed.key_close_text),
    )


def _keyed_texts(keyed: KeyedArguments) -> Iterator[str]:
    yield from (keyed.open, keyed.key_open, keyed.key_close, keyed.key_close_text or "")
    yield from (keyed.value_close, keyed.between, keyed.close)
