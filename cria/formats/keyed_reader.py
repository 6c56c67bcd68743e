"""Arguments that are keys and values between marks, as the JSON text of an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cria.formats.bracketed import read_bracketed
from cria.formats.long_text import read_long_text
from cria.formats.marked_formats import LONG_QUOTE
from cria.formats.schema_types import argument_names, argument_texts, argument_types
from cria.formats.source import (
    Reading,
    Source,
    read_literal,
    read_space,
    read_until,
    skip_exactly,
    trigger,
    try_literal,
)
from cria.formats.tool_format import KeyedArguments
from cria.formats.values import dump_json, is_json_text, tagged_to_json, to_json

MAX_MARKS = 16
"""That a JSON value may have in its strings; each is one more look at all of it."""
MAX_KEY = 256
"""Characters: what goes on longer is no key."""


class ReadableTool(NamedTuple):
    """What a parser must know of a tool; the schema tells text where the format does not."""

    name: str
    schema: dict[str, Any]
    is_text: bool = False
    """The arguments hold one text, and that text is what is wanted."""
    is_raw: bool = False
    """The text itself stands where the arguments would."""


class KeyedReader:
    """Of one call; what it finds leaves value by value."""

    def __init__(
        self,
        source: Source,
        keyed: KeyedArguments,
        quote: str,
        tool: ReadableTool,
        sink: Callable[[str], None],
    ) -> None:
        """`quote` stands around text in values that are `quoted`."""
        self._source = source
        self._keyed = keyed
        self._quote = quote
        self._tool = tool
        self._sink = sink
        self._num_pairs = 0
        self._is_closed = False
        marks = [trigger(keyed.key_close), trigger(keyed.key_close_text or keyed.key_close)]
        keys = argument_names(tool.schema)
        self._odd_keys = [key for key in keys if any(mark in key for mark in marks)]

    def read(self) -> Reading[bool]:
        """Whether the arguments are complete; if not, the answer has ended."""
        yield from try_literal(self._source, self._keyed.open)
        while (yield from self._begins_pair()):
            if not (yield from self._read_pair()):
                break
        if self._source.is_over and not self._is_closed:
            return False
        if not self._tool.is_text:
            self._sink("}" if self._num_pairs else "{}")
        return True

    def _begins_pair(self) -> Reading[bool]:
        keyed, source = self._keyed, self._source
        yield from read_space(source)
        if keyed.close and (yield from try_literal(source, keyed.close)) is not None:
            self._is_closed = True
            return False
        if self._num_pairs:
            yield from try_literal(source, keyed.between.strip())
            yield from read_space(source)
        if not keyed.key_open:
            return not source.is_over
        source.hold()
        is_next = yield from read_literal(source, keyed.key_open)
        if is_next or source.is_over:
            source.let_go()
        else:
            source.back()
        return is_next

    def _read_pair(self) -> Reading[bool]:
        source = self._source
        parts: list[str] = []
        source.hold()
        closes = [self._keyed.key_close]
        if self._keyed.key_close_text is not None:
            closes.append(self._keyed.key_close_text)
        number = yield from self._read_key(closes, parts.append)
        if number is None and not source.is_over:
            source.back()
            return False
        source.let_go()
        if number is None:
            return False
        is_text = number == 1 if len(closes) > 1 else None
        key = "".join(parts).strip()
        value = yield from self._read_value(key, closes[number], is_text)
        if value is not None:
            self._emit(key, value)
        return value is not None

    def _read_key(self, closes: Sequence[str], sink: Callable[[str], None]) -> Reading[int | None]:
        """Which mark is behind it. A key that holds such a mark is known by the schema."""
        for key in self._odd_keys:
            for number, close in enumerate(closes):
                if (yield from self._try_exactly(key, close)):
                    sink(key)
                    return number
        return (yield from read_until(self._source, closes, sink, MAX_KEY))

    def _try_exactly(self, key: str, close: str) -> Reading[bool]:
        self._source.hold()
        yield from skip_exactly(self._source, key)
        if self._source.held_text and (yield from read_literal(self._source, close)):
            self._source.let_go()
            return True
        self._source.back()
        return False

    def _read_value(self, key: str, opened: str, is_text: bool | None) -> Reading[str | None]:
        """As JSON text; None if the answer ends before the value does."""
        keyed, source = self._keyed, self._source
        types = argument_types(self._tool.schema, key)
        if keyed.values == "tagged":
            is_json = bool(types) and "string" not in types if is_text is None else not is_text
            value = yield from self._read_tagged(is_json)
            # The blanks at the end of the mark before are the mark's.
            text = None if value is None else value.removeprefix(opened[len(opened.rstrip()) :])
            if text in argument_texts(self._tool.schema, key):
                is_text = is_text is not False
            return None if text is None else tagged_to_json(text, types, is_text)
        is_python = keyed.values == "python"
        if is_python and (yield from try_literal(source, LONG_QUOTE)) is not None:
            return (yield from self._read_long_text())
        quotes = ("'", '"') if is_python else (self._quote,)
        value = yield from read_bracketed(source, quotes, is_python)
        if value is None:
            return None
        yield from try_literal(source, keyed.value_close)
        return to_json(value.strip(), keyed.values, types, self._quote)

    def _read_long_text(self) -> Reading[str | None]:
        parts: list[str] = []
        is_complete = yield from read_long_text(self._source, parts.append)
        return dump_json("".join(parts)) if is_complete else None

    def _read_tagged(self, is_json: bool) -> Reading[str | None]:
        """Up to the mark that closes the value: in JSON, the first one that is in no string."""
        source, closes = self._source, [self._keyed.value_close]
        source.hold()
        before = ""
        for _ in range(MAX_MARKS if is_json else 0):
            parts = [before]
            if (yield from read_until(source, closes, parts.append)) is None:
                break
            if is_json_text("".join(parts)):
                source.let_go()
                return "".join(parts)
            before = source.held_text
        source.back()
        parts = []
        found = yield from read_until(source, closes, parts.append)
        return None if found is None else "".join(parts)

    def _emit(self, key: str, value: str) -> None:
        if self._tool.is_text:
            text = json.loads(value)
            self._sink(text if isinstance(text, str) else value)
        else:
            self._sink(f"{', ' if self._num_pairs else '{'}{dump_json(key)}: {value}")
        self._num_pairs += 1
