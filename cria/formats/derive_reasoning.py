"""How a model writes its thinking, found out from its chat template.

Templates write the thinking of past messages as the model does, most of them only under conditions:
the last turn, a turn with tool calls, a switch. All of them are tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cria.formats.draw import Draw
from cria.formats.parser import AnswerParser
from cria.formats.pieces import Piece, PieceKind
from cria.formats.reasoning_format import KNOWN, ReasoningFormat
from cria.formats.special import SpecialTexts

_THOUGHT = "Thought0Sentinel"
_ANSWER = "Answer0Sentinel"
_FIELDS = ("reasoning_content", "thinking", "reasoning", "thought")
"""What templates call the thinking of a message."""

_SWITCHES: tuple[Mapping[str, Any], ...] = (
    {},
    {"enable_thinking": True, "thinking": True, "reasoning_effort": "high"},
    {"preserve_thinking": True, "keep_past_thinking": True, "think_render_option": "all"},
)
"""What makes templates show it."""

_TAG = r"(?:<[^<>\s]{1,40}>|\[[A-Z_ /]{1,40}\])"
_TAG_AT_END = re.compile(rf"(?i)(?=\S*(?:think|thought|reason)){_TAG}\Z")
"""Named so; else it is the tag of the assistant's turn."""
_TAG_AT_START = re.compile(_TAG)


def derive_reasoning(draw: Draw, source: str) -> ReasoningFormat | None:
    """None for a template that knows of no thinking; `source` is the template itself."""
    for text in _draw_thinking(draw) if any(field in source for field in _FIELDS) else ():
        before, _, after = text.partition(_THOUGHT)
        for format in (*KNOWN.values(), *_cut(before, after)):
            if _is_true(format, before, after):
                return format
    return next((format for sign, format in KNOWN.items() if sign in source), None)


def _draw_thinking(draw: Draw) -> Iterator[str]:
    """Conversations that show a thought."""
    for kwargs in _SWITCHES:
        for messages in _conversations():
            text = draw(messages, kwargs=kwargs)
            if text.count(_THOUGHT) == 1:
                yield text


def _conversations() -> Iterator[list[dict[str, Any]]]:
    user = {"role": "user", "content": "Hi"}
    thought = dict.fromkeys(_FIELDS, _THOUGHT)
    answer = {"role": "assistant", "content": _ANSWER, **thought}
    yield [user, answer]
    yield [user, answer, user]
    function = {"name": "get", "arguments": {"key": "value"}}
    call = {"id": "abcdefghi", "type": "function", "function": function}
    calling = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "abcdefghi", "name": "get", "content": "1"}
    for field in _FIELDS:
        # Templates that take content or thinking beside a call, but not several of them.
        yield [user, {**calling, field: _THOUGHT}, result]
        yield [user, {**answer, **calling, field: _THOUGHT}, result]
    yield [user, {**calling, **thought}, result]


def _cut(before: str, after: str) -> Iterator[ReasoningFormat]:
    """The tags around the thought."""
    open_ = _TAG_AT_END.search(before.rstrip())
    close = _TAG_AT_START.match(after.lstrip())
    if not (open_ and close):
        return
    rest, _, _ = after.lstrip()[close.end() :].partition(_ANSWER)
    is_header = rest.strip() and _ANSWER in after
    yield ReasoningFormat(open_[0], close[0], (rest.strip(),) if is_header else ())


def _is_true(format: ReasoningFormat, before: str, after: str) -> bool:
    """With this format, the template's own text is read as the thought and the answer."""
    start = before.rfind(format.open.strip())
    if start < 0 or before[start:].strip() != format.open.strip():
        return False
    thought, *rest = _read(format, before[start:] + _THOUGHT + after) or [Piece(PieceKind.CONTENT)]
    answer = rest[0].text if rest else ""
    return thought == Piece(PieceKind.REASONING, _THOUGHT) and (
        answer.startswith(_ANSWER) or _ANSWER not in after
    )


def _read(format: ReasoningFormat, text: str) -> list[Piece]:
    parser = AnswerParser(SpecialTexts({}), reasoning=format)
    return [*parser.feed(text), *parser.flush()]
