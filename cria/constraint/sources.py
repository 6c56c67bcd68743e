"""From what a client sends to a grammar in llguidance's own form, a JSON text.

1. What cannot be enforced is refused: a schema is never taken for less than it says, unless the
   caller allows `lenient`.
2. Blanks between the members of JSON are bounded: a small model may write nothing else for ever.
3. A schema may carry settings for llguidance (`x-guidance`): ours win.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llguidance import LLMatcher, grammar_from

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

MAX_SOURCE_BYTES = 512 * 1024
"""Of a schema or grammar: the largest hostile one of this size takes a second to compile."""

_WHITESPACE = r"[\x20\x0A\x0D\x09]{1,8}"


class GrammarError(ValueError):
    """The grammar cannot be used; the text says why, in one line."""


def from_json_schema(schema: dict[str, Any] | bool, *, lenient: bool = False) -> str:
    """Any JSON that the schema allows; `lenient` ignores keywords that cannot be enforced."""
    overrides: JsonCompileOptions = {"whitespace_pattern": _WHITESPACE, "lenient": lenient}
    # llguidance knows objects only; in a list of one, false and true are schemas like any other.
    text = json.dumps(schema if isinstance(schema, dict) else {"allOf": [schema]})
    _check_size(text)
    try:
        return str(LLMatcher.grammar_from_json_schema(text, overrides=overrides))
    except ValueError as error:
        raise GrammarError(_one_line(error)) from None


def from_regex(pattern: str) -> str:
    """The whole answer matches the pattern."""
    _check_size(pattern)
    return str(LLMatcher.grammar_from_regex(pattern))


def from_choice(options: Sequence[str]) -> str:
    """The answer is one of these texts."""
    text = json.dumps(list(options))
    _check_size(text)
    return str(LLMatcher.grammar_from_lark(grammar_from("choice", text)))


def from_grammar(text: str) -> str:
    """GBNF as llama.cpp knows it, or else llguidance's Lark."""
    _check_size(text)
    try:
        lark = grammar_from("gbnf", text) if "::=" in text else text
    except ValueError as error:
        raise GrammarError(_one_line(error)) from None
    return str(LLMatcher.grammar_from_lark(lark))


def _check_size(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_SOURCE_BYTES:
        raise GrammarError(f"it has {size} bytes, and {MAX_SOURCE_BYTES} are the most")


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]
