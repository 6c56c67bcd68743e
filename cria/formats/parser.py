"""`AnswerParser`: the text of an answer to content, thinking and calls, as it comes.

Nothing is held back but what may be the beginning of a mark, and the blanks before it. What looks
like a call and is none is text.
"""

from __future__ import annotations

from collections.abc import Sequence

from cria.formats.call_reader import CallReader
from cria.formats.flow import Flow
from cria.formats.keyed_reader import ReadableTool
from cria.formats.marked_formats import marked_reasoning
from cria.formats.marks import Marks
from cria.formats.pieces import Piece, PieceKind
from cria.formats.reasoning_format import ReasoningFormat
from cria.formats.source import Reading, Source, read_space, read_until, trigger, try_literal
from cria.formats.special import MARK, SpecialTexts
from cria.formats.tool_format import ToolFormat

__all__ = ["AnswerParser", "ReadableTool"]

_NEWLINES = "\r\n"
_TEXT_HEADER = "all\n"
"""Announces text in a format whose calls begin with their names."""


class AnswerParser:
    """Of one generation."""

    def __init__(
        self,
        special: SpecialTexts,
        *,
        tools: ToolFormat | None = None,
        callable: Sequence[ReadableTool] = (),
        reasoning: ReasoningFormat | None = None,
        is_thinking: bool = False,
        is_inline: bool = False,
    ) -> None:
        """`is_thinking`: the prompt has opened the thinking.
        `is_inline`: thinking is text, with its marks, though nothing in it is a call.

        The formats hold control tokens by name, the text of the answer has them marked.
        """
        self._source = Source()
        self._flow = Flow()
        self._reasoning = reasoning and marked_reasoning(reasoning, special.marked)
        self._calls = tools and CallReader(self._source, self._flow, tools, callable, special)
        self._is_whole = tools is not None and tools.is_whole
        self._headers = self._reasoning.headers if self._reasoning else ()
        if self._calls and not self._calls.is_marked:
            self._headers += (_TEXT_HEADER, *(mark + _TEXT_HEADER for mark in self._calls.marks))
        marks = self._find_marks()
        self._marks = Marks.of(*marks)
        self._has_marks = any(marks)
        self._dropped = ""
        """Characters that are no text where blanks come next."""
        self._is_inline = is_inline
        self._begins_inside = is_thinking and self._reasoning is not None
        self._is_thinking = self._begins_inside and not is_inline
        self._run = self._read_answer()
        next(self._run)

    @property
    def is_thinking(self) -> bool:
        """What comes next is thinking."""
        return self._is_thinking

    def feed(self, text: str) -> list[Piece]:
        """More of the answer; the pieces that it completes."""
        if text:
            self._source.add(text)
            next(self._run)
        return self._flow.take()

    def flush(self) -> list[Piece]:
        """The end of the answer: what was held back."""
        self._source.is_closed = True
        next(self._run, None)
        return self._flow.take()

    def _find_marks(self) -> Sequence[str]:
        """What can follow text: calls, and headers that no text can be mistaken for."""
        calls = self._calls.marks if self._calls else ()
        headers = [header for header in self._headers if header.startswith((MARK, *calls))]
        return [*calls, *map(trigger, headers)]

    def _read_answer(self) -> Reading[None]:
        if self._begins_inside:
            yield from self._read_any_thinking()
        while True:
            if self._calls or self._reasoning:
                yield from self._read_marks()
            yield from self._read_content()
            if self._source.is_over:
                return

    def _read_marks(self) -> Reading[None]:
        """All that is no text, from where it may begin to where text does."""
        while True:
            blanks = yield from read_space(self._source)
            self._flow.hold(blanks.lstrip(self._dropped))
            self._dropped = ""
            if not ((yield from self._try_thinking()) or (yield from self._try_mark())):
                return

    def _try_thinking(self) -> Reading[bool]:
        if not self._reasoning or self._flow.has_content:
            return False
        if (yield from try_literal(self._source, self._reasoning.open)) is None:
            return False
        if self._is_inline:
            self._say(self._reasoning.open)
        yield from self._read_any_thinking()
        return True

    def _read_any_thinking(self) -> Reading[None]:
        if self._is_inline:
            yield from self._read_inline()
        else:
            yield from self._read_thinking()

    def _read_inline(self) -> Reading[None]:
        """From behind the opening mark to behind the closing one, or to the end; all is text."""
        assert self._reasoning
        close = self._reasoning.close
        if (yield from read_until(self._source, [close], self._say)) is not None:
            self._say(close)
        # What comes now is the answer, which may be calls and nothing else.
        self._flow.is_fresh = True

    def _try_mark(self) -> Reading[bool]:
        """Calls, or a header; calls may begin with what is a header by itself."""
        may_call = self._flow.is_fresh or not self._is_whole
        if self._calls and may_call and (yield from self._calls.read()):
            return True
        if (yield from try_literal(self._source, *self._headers)) is None:
            return False
        self._dropped = _NEWLINES
        return True

    def _read_content(self) -> Reading[None]:
        """Up to the next mark that is one, or to the end."""
        source, marks = self._source, self._marks
        while True:
            found = marks.search(source.text, source.pos)
            self._say(source.take(found.start))
            if found.is_whole:
                if (yield from self._try_mark()):
                    return
                self._say(source.take(source.pos + 1))
            elif source.is_closed:
                self._say(source.take(len(source.text)))
                self._flow.release(PieceKind.CONTENT)
                return
            else:
                yield

    def _say(self, text: str) -> None:
        self._flow.say(PieceKind.CONTENT, text)
        if not self._has_marks:
            self._flow.release(PieceKind.CONTENT)

    def _read_thinking(self) -> Reading[None]:
        """From behind the opening mark to behind the closing one, or to the end."""
        assert self._reasoning
        self._is_thinking = True
        source, flow, close = self._source, self._flow, self._reasoning.close
        marks = Marks.of(trigger(close))
        yield from self._read_thinking_start(self._reasoning.open)
        while True:
            found = marks.search(source.text, source.pos)
            flow.say(PieceKind.REASONING, source.take(found.start))
            if found.is_whole:
                if (yield from try_literal(source, close)) is not None:
                    break
                flow.say(PieceKind.REASONING, source.take(source.pos + 1))
            elif source.is_closed:
                flow.say(PieceKind.REASONING, source.take(len(source.text)))
                flow.release(PieceKind.REASONING)
                return
            else:
                yield
        flow.drop_held()
        self._is_thinking = False
        self._dropped = _NEWLINES

    def _read_thinking_start(self, mark: str) -> Reading[None]:
        """Blank lines, and the mark again where the prompt has it already."""
        self._flow.drop_held()
        blanks = yield from read_space(self._source)
        if (yield from try_literal(self._source, mark)) is not None:
            blanks = yield from read_space(self._source)
        self._flow.hold(blanks.lstrip(_NEWLINES))
