"""One grammar of a whole answer: thinking, then text or an answer of a given shape, and calls.

Free text may hold anything but control tokens. As soon as it holds the mark of a call, a call has
to follow: of one of the tools, with arguments that its schema allows.
"""

from __future__ import annotations

from typing import NamedTuple

from cria.formats.call_grammar import CallableTool, CallGrammar, Calls, free_text
from cria.formats.reasoning_format import ReasoningFormat
from cria.formats.rules import Rules, one_of, re_escape, regex
from cria.formats.special import Special, SpecialTexts
from cria.formats.text_pattern import ANY

CHARACTERS_PER_TOKEN = 4
"""By which a budget is counted where the end of thinking is no control token."""

__all__ = ["CallableTool", "Calls", "Thinking", "answer_grammar"]


class Thinking(NamedTuple):
    """Of one answer."""

    format: ReasoningFormat
    is_open: bool
    """The prompt has begun it."""
    budget: int | None
    """In tokens; None for no limit."""


def answer_grammar(
    special: SpecialTexts,
    *,
    calls: Calls | None,
    thinking: Thinking | None,
    content: str | None,
) -> str:
    """In llguidance's own form; `content` is the grammar that the text must match, None for any.

    A vocabulary that has texts begin with a blank needs no other grammar: one may come first.
    """
    rules = Rules(special)
    before = _thinking(rules, thinking) if thinking else ""
    unless = _opened(rules, thinking) if thinking else ""
    return rules.source(f"{before} {_answer(rules, calls, content, unless)}".strip())


def _answer(rules: Rules, calls: Calls | None, content: str | None, unless: str) -> str:
    if not calls or not calls.tools:
        if content is None:
            return f"{free_text(rules, unless)}?"
        return f"{rules.blanks()} {rules.grammar(content)}"
    grammar = CallGrammar(rules, calls)
    if calls.is_required:
        return f"{rules.blanks()} {grammar.calls()}"
    if content is not None:
        is_json = calls.format.is_whole and isinstance(calls.format.call[0], str)
        written = grammar.as_json() if is_json else [grammar.calls()]
        return f"{rules.blanks()} {one_of([*written, rules.grammar(content)])}"
    if calls.format.is_whole:
        begins = "|".join(f"(?:{each})" for each in (grammar.head(), unless) if each)
        return f"({rules.blanks()} {grammar.calls()} | {free_text(rules, begins)}?)"
    return _text_and_calls(rules, calls, grammar, unless)


def _text_and_calls(rules: Rules, calls: Calls, grammar: CallGrammar, unless: str) -> str:
    lead, rest = grammar.triggered(unless)
    text = f"{free_text(rules, unless)}?"
    if calls.is_single:
        return f"({text} | {lead} {rest} {rules.blanks()})"
    later, rest = grammar.triggered()
    return f"({text} | {lead} {rest} ({later} {rest})* {free_text(rules)}?)"


def _thinking(rules: Rules, thinking: Thinking) -> str:
    format = thinking.format
    headers = "".join(f" | {rules.literal(header)}" for header in format.headers)
    after = f"({headers[3:]})*" if headers else ""
    body = _body(rules, format.close, thinking.budget)
    if thinking.is_open:
        return f"{body} {after}"
    return f"({rules.blanks()} {rules.literal(format.open.lstrip())} {body})? {after}"


def _body(rules: Rules, close: str, budget: int | None) -> str:
    """Thinking up to its end; where the budget ends, nothing but the end may follow."""
    if budget is None:
        return rules.until(close)
    if not budget:
        return rules.literal(close)
    if not isinstance(rules.split(close)[0], Special):
        return rules.until(close, [f"(?s:.{{0,{CHARACTERS_PER_TOKEN * budget}}})"])
    text = rules.add(regex(ANY), f"[max_tokens={budget}]")
    return f"{text} {rules.literal(close)}"


def _opened(rules: Rules, thinking: Thinking) -> str:
    """Text that has begun to think, and so is none: thinking is over, or has its own grammar."""
    opening = thinking.format.open.strip()
    if isinstance(rules.split(opening)[0], Special):
        return ""
    return r"[ \t\r\n]*" + re_escape(opening) + ANY
