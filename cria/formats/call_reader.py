"""The calls of an answer, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from cria.formats.flow import Flow
from cria.formats.json_end import JsonEnd
from cria.formats.json_text import read_json_text
from cria.formats.keyed_reader import KeyedReader, ReadableTool
from cria.formats.long_text import read_long_text
from cria.formats.marked_formats import LONG_QUOTE, QUOTE, SPELLINGS, marked_tools, text_end
from cria.formats.pieces import PieceKind
from cria.formats.source import (
    MAX_SPACE,
    Reading,
    Source,
    read_literal,
    read_space,
    read_until,
    read_word,
    skip_exactly,
    trigger,
    try_literal,
)
from cria.formats.special import SpecialTexts
from cria.formats.tool_format import Slot, ToolFormat

_INPUT = '{"input": "'
"""How the arguments of a tool begin that takes text."""


class CallReader:
    """Reads calls where they begin; what only looks like one is left in the source."""

    def __init__(
        self,
        source: Source,
        flow: Flow,
        tools: ToolFormat,
        callable: Sequence[ReadableTool],
        special: SpecialTexts,
    ) -> None:
        self._source = source
        self._flow = flow
        self._format = marked_tools(tools, special.marked)
        self._text_end = text_end(self._format)
        self._callable = {tool.name: tool for tool in callable}
        self._quote = special.marked(QUOTE)
        self._spellings = {
            special.marked(text): tuple(map(special.marked, others))
            for text, others in SPELLINGS.items()
        }
        number = self._format.call.index(Slot.ARGUMENTS)
        self._before = self._format.call[:number]
        self._after = self._format.call[number + 1 :]
        self.is_marked = isinstance(self._opening(self._format.begin)[0], str)
        """Calls begin with a text of their own, not with the name."""

    @property
    def marks(self) -> tuple[str, ...]:
        """The texts with which calls begin in the midst of an answer."""
        if self._format.is_whole:
            return ()
        openings = self._opening(self._format.begin), self._opening(self._format.between)
        return tuple(
            trigger(parts[0])
            for parts in (openings[:1] if self.is_marked else openings[1:])
            if isinstance(parts[0], str)
        )

    def read(self) -> Reading[bool]:
        """All calls from here on; False if there is none here."""
        format = self._format
        starts = (format.begin,) if self.is_marked else (format.begin, format.between)
        if not (yield from self._try_calls(starts)):
            return False
        while not self._source.is_over:
            yield from read_space(self._source)
            if (yield from self._try_calls((format.between, format.begin))):
                continue
            if not (format.end and (yield from self._try_end())):
                break
        return True

    def _opening(self, before: str) -> tuple[str | Slot, ...]:
        """What stands before the arguments, with this in front."""
        before = before.lstrip()
        first = self._before[0]
        if isinstance(first, str):
            return (before + first, *self._before[1:])
        return (before, *self._before) if before else self._before

    def _try_calls(self, starts: Sequence[str]) -> Reading[bool]:
        for start in dict.fromkeys(starts):
            if (yield from self._try_call(self._opening(start))):
                return True
        return False

    def _try_call(self, parts: Sequence[str | Slot]) -> Reading[bool]:
        self._source.hold()
        name = yield from self._read_opening(parts)
        if not name:
            self._source.back()
            return False
        self._source.let_go()
        self._flow.put(PieceKind.CALL, name)
        tool = self._tool(name)
        if (yield from self._read_arguments(tool)):
            self._flow.put(PieceKind.CALL_END)
            is_raw = self._is_raw(tool) and self._text_end != LONG_QUOTE
            # The text that ends a raw one has been read with it.
            yield from self._read_rest(self._after[1:] if is_raw else self._after)
        return True

    def _tool(self, name: str) -> ReadableTool:
        return self._callable.get(name) or ReadableTool(name, {})

    def _read_opening(self, parts: Sequence[str | Slot]) -> Reading[str]:
        """The name of what is called; "" if this is no call."""
        name = ""
        for part in parts:
            if isinstance(part, str):
                if not (yield from self._read_text(part)):
                    return ""
            elif part is Slot.NAME:
                yield from read_space(self._source, MAX_SPACE)
                name = yield from read_word(self._source)
            else:
                yield from read_word(self._source)
        is_known = self.is_marked or name in self._callable
        return name if is_known and (yield from self._begins_arguments(name)) else ""

    def _read_text(self, text: str) -> Reading[bool]:
        others = self._spellings.get(text, ())
        if self.is_marked and not text.strip():
            return True
        if not others:
            return (yield from read_literal(self._source, text))
        return (yield from try_literal(self._source, text, *others)) is not None

    def _begins_arguments(self, name: str) -> Reading[bool]:
        if self._is_raw(self._tool(name)):
            return True
        keyed = self._format.keyed
        yield from read_space(self._source, MAX_SPACE)
        if not keyed:
            return (yield from self._comes("{"))
        if keyed.open:
            return (yield from self._comes(keyed.open))
        ends = [part for part in (keyed.close, *self._after[:1]) if isinstance(part, str)]
        return (yield from self._comes(keyed.key_open, *filter(str.strip, ends)))

    def _comes(self, *literals: str) -> Reading[bool]:
        """Whether one of these comes next; they are left where they are."""
        self._source.hold()
        number = yield from try_literal(self._source, *literals)
        self._source.back()
        return number is not None

    def _read_arguments(self, tool: ReadableTool) -> Reading[bool]:
        """Whether they are complete; if not, the answer has ended."""
        sink = partial(self._flow.put, PieceKind.ARGUMENTS)
        if self._is_raw(tool):
            return (yield from self._read_raw())
        if self._format.keyed:
            tool = tool._replace(is_text=tool.is_text or tool.is_raw)
            reader = KeyedReader(self._source, self._format.keyed, self._quote, tool, sink)
            return (yield from reader.read())
        if tool.is_text and (yield from self._begins_text()):
            is_complete = yield from read_json_text(self._source, sink)
            return is_complete and (yield from self._read_json(is_shown=False))
        if tool.is_text and self._source.is_over:
            return False
        return (yield from self._read_json())

    def _begins_text(self) -> Reading[bool]:
        """An answer that ends where this may still come is read up to its end."""
        self._source.hold()
        begins = yield from read_literal(self._source, _INPUT)
        if begins or self._source.is_over:
            self._source.let_go()
        else:
            self._source.back()
        return begins

    def _read_raw(self) -> Reading[bool]:
        sink = partial(self._flow.put, PieceKind.ARGUMENTS)
        before = self._before[-1]
        if isinstance(before, str):
            yield from skip_exactly(self._source, before[len(before.rstrip()) :])
        if self._text_end == LONG_QUOTE:
            yield from skip_exactly(self._source, LONG_QUOTE)
            return (yield from read_long_text(self._source, sink))
        return (yield from read_until(self._source, [self._text_end], sink)) is not None

    def _is_raw(self, tool: ReadableTool) -> bool:
        """Its text stands in place of the arguments; between marks it is an argument instead."""
        return tool.is_raw and self._format.keyed is None

    def _read_json(self, is_shown: bool = True) -> Reading[bool]:
        """An object; what is not shown of it has begun already."""
        source, json_end = self._source, JsonEnd()
        if not is_shown:
            json_end.find("{")
        while True:
            end = json_end.find(source.text, source.pos)
            text = source.take(len(source.text) if end is None else end)
            if is_shown and text:
                self._flow.put(PieceKind.ARGUMENTS, text)
            if end is not None or source.is_closed:
                return end is not None
            yield

    def _read_rest(self, parts: Sequence[str | Slot]) -> Reading[None]:
        """What stands behind the arguments; as far as it is not there, it is not missed."""
        self._source.hold()
        for part in parts:
            if isinstance(part, Slot):
                yield from read_word(self._source)
            elif not (yield from self._read_text(part)):
                break
        else:
            self._source.let_go()
            return
        if self._source.is_over:
            self._source.let_go()
        else:
            self._source.back()

    def _try_end(self) -> Reading[bool]:
        self._source.hold()
        is_end = yield from read_literal(self._source, self._format.end)
        if is_end or self._source.is_over:
            self._source.let_go()
            return True
        self._source.back()
        return False
