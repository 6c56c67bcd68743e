"""The grammar of tool calls in a model's own format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from cria.constraint.sources import GrammarError, json_schema_of, of_json_schema
from cria.formats.argument_grammar import ArgumentGrammar
from cria.formats.atoms import atoms
from cria.formats.marked_formats import LONG_QUOTE, QUOTE, text_end
from cria.formats.rules import Rules, one_of, re_escape, regex
from cria.formats.schema_parts import standalone
from cria.formats.special import Special
from cria.formats.text_pattern import ANY
from cria.formats.tool_format import Slot, ToolFormat

RAW_KEY = "input"
"""Of the text that a custom tool takes, as `api.tool_plan` has it in its schema."""
_SLOTS = {Slot.ID: "[A-Za-z0-9]{9}", Slot.INDEX: "[0-9]{1,4}"}


class CallableTool(NamedTuple):
    """What may be called."""

    name: str
    schema: dict[str, Any]
    """Of the arguments."""
    source: str
    """The grammar of the whole object of arguments, as `constraint.sources` makes it."""
    raw: str = ""
    """The grammar of a text that stands in place of the arguments; empty if there are some."""


class Calls(NamedTuple):
    """Which calls an answer may have."""

    format: ToolFormat
    tools: Sequence[CallableTool]
    is_required: bool
    """At least one, and no text beside it."""
    is_parallel: bool

    @property
    def is_single(self) -> bool:
        """One at most."""
        return not self.is_parallel or self.format.max_calls == 1


class CallGrammar:
    """Rules for the calls of one answer."""

    def __init__(self, rules: Rules, calls: Calls) -> None:
        self._rules = rules
        self._calls = calls
        self._format = calls.format
        first = calls.format.call[0]
        self._opening = first if isinstance(first, str) else ""
        self._rest = rules.add(one_of(map(self._tool, calls.tools)))

    def calls(self) -> str:
        """A call, or several; the answer has nothing else, but for blanks before."""
        opening = self._format.begin.lstrip() + self._call_opening()
        return self._from(self._rules.beginning(opening))

    def triggered(self, unless: str = "") -> tuple[str, str]:
        """Text that ends with the mark of a call, and what must follow it.

        The text does not match `unless`, a regular expression.
        """
        opening = self._format.begin.lstrip() + self._call_opening()
        parts = self._rules.split(opening)
        if isinstance(parts[0], Special):
            mark = parts[0].text
            lead = f"{free_text(self._rules, unless)}? {self._rules.literal(mark)}"
        elif len(parts) > 1:  # what is before the control token may be in the text as well
            mark = "".join(part.text if isinstance(part, Special) else part for part in parts[:2])
            text = _except(self._rules, regex(ANY + re_escape(str(parts[0]))), unless)
            lead = f"{self._rules.terminal(text)} {self._rules.literal(mark[len(parts[0]) :])}"
        else:
            mark = _mark(parts[0])
            text = regex(ANY + re_escape(mark))
            lead = self._rules.add(_except(self._rules, text, unless), "[lazy]")
        return lead, self._from(self._rules.literal(opening[len(mark) :]))

    def head(self) -> str:
        """A regular expression of answers that begin like a call, where calls have no mark."""
        blanks = r"[ \t\r\n]*"
        if self._opening:
            return blanks + re_escape(re.split(r"(?<=name\")", self._opening)[0]) + ANY
        names = "|".join(re_escape(tool.name) for tool in self._calls.tools)
        return f"{blanks}(?:{names})\\n{ANY}"

    def as_json(self) -> list[str]:
        """Grammars of calls that are JSON, for answers that may be other JSON as well.

        GrammarError for a text of its own grammar, which is no JSON.
        """
        if any(tool.raw for tool in self._calls.tools):
            raise GrammarError("this model cannot call a tool with a grammar beside it")
        return [
            self._rules.grammar(of_json_schema(_call_schema(self._format, tool)))
            for tool in self._calls.tools
        ]

    def _call_opening(self) -> str:
        return self._opening if self._format.begin.strip() else self._opening.lstrip()

    def _from(self, opening: str) -> str:
        """A group of calls, of which this rule is the opening of the first one."""
        literal, format = self._rules.literal, self._format
        first = f"{opening} {self._rest}"
        more = f"{self._between()} {literal(self._opening)} {self._rest}"
        several = "" if self._calls.is_single else f"({more})*"
        return self._rules.add(f"{first} {several} {literal(format.end)}")

    def _between(self) -> str:
        between = self._format.between
        return self._rules.literal(between) if between.strip() else self._rules.blanks()

    def _tool(self, tool: CallableTool) -> str:
        """A call without the text that all of them begin with."""
        body, text = [], ""
        for part in self._format.call[1 if self._opening else 0 :]:
            if isinstance(part, str) or part is Slot.NAME:
                text += part if isinstance(part, str) else tool.name
                continue
            body += [self._rules.literal(text), self._slot(part, tool)]
            text = ""
        return self._rules.add(" ".join([*body, self._rules.literal(text)]))

    def _slot(self, slot: Slot, tool: CallableTool) -> str:
        if slot is not Slot.ARGUMENTS:
            return self._rules.terminal(regex(_SLOTS[slot]))
        if tool.raw:
            return self._raw(self._rules.grammar(tool.raw))
        if self._format.keyed is None:
            return self._rules.grammar(tool.source)
        keyed = self._format.keyed
        return ArgumentGrammar(self._rules, keyed, tool.source).rule()

    def _raw(self, text: str) -> str:
        """A text in place of the arguments, or as the only one where they are between marks."""
        keyed, literal = self._format.keyed, self._rules.literal
        if keyed is None:
            quote = literal(LONG_QUOTE) if text_end(self._format) == LONG_QUOTE else ""
            return f"{quote} {text} {quote}"
        opening = keyed.open + keyed.key_open + RAW_KEY + (keyed.key_close_text or keyed.key_close)
        quote = {"quoted": QUOTE, "python": LONG_QUOTE}.get(keyed.values, "")
        closing = quote + keyed.value_close + keyed.close
        return f"{literal(opening + quote)} {text} {literal(closing)}"


def free_text(rules: Rules, unless: str = "") -> str:
    """Any text but what matches a regular expression."""
    return rules.terminal(_except(rules, regex(ANY), unless))


def _except(rules: Rules, text: str, unless: str) -> str:
    if not unless:
        return text
    return rules.terminal(f"{text} & ~{regex(unless)}")


def _mark(opening: str) -> str:
    """What certainly is the beginning of a call."""
    first = atoms(opening)[0]
    return first if len(first) > 2 and first[0] in "<[" else opening


def _call_schema(format: ToolFormat, tool: CallableTool) -> dict[str, Any]:
    arguments = dict(json_schema_of(tool.source) or tool.schema)
    settings = arguments.pop("x-guidance", None)
    arguments = standalone(arguments, arguments)
    names = [name for name in ("$defs", "definitions") if name in arguments]
    shared: dict[str, Any] = {name: arguments.pop(name) for name in names}
    key = atoms(format.call[2])[4] if isinstance(format.call[2], str) else "arguments"
    properties = {"name": {"const": tool.name}, key: arguments}
    whole: dict[str, Any] = {"type": "object", "properties": properties, "required": ["name", key]}
    whole |= {"additionalProperties": False, **shared}
    return whole | ({"x-guidance": settings} if settings else {})
