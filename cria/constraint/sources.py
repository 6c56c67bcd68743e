"""From what a client sends to a grammar in llguidance's own form, a JSON text.

1. What cannot be enforced is refused: a schema is never taken for less than it says, unless the
   caller allows `lenient`.
2. Blanks between the members of JSON are bounded: a small model may write nothing else for ever.
3. A schema may carry settings for llguidance (`x-guidance`), which could undo both: refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llguidance import LLMatcher, grammar_from

from cria.constraint.references import DATA, is_endless

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

MAX_SOURCE_BYTES = 512 * 1024
"""Of a schema or grammar: the largest hostile one of this size takes a second to compile."""

_GBNF_RULE = re.compile(r"^\s*[\w-]+\s*::=", re.MULTILINE)
_BUDGET = "thinking_budget"
_WHITESPACE = r"[\x20\x0A\x0D\x09]{1,8}"
_NOT_IN_CLASS = re.compile(r"(\\.|\[(?!\^)\]?(?:\\.|[^\]\\])*\])|\[\^(\]?)", re.DOTALL)
"""Where a negated class begins in a regular expression."""


class Budget(NamedTuple):
    """How long an answer may think."""

    num_tokens: int
    """Between the marks."""
    open: str
    """With which the answer may begin to think; empty if it does so from the start."""
    close: str
    """Ends the thinking; plain text."""


class GrammarError(ValueError):
    """The grammar cannot be used; the text says why, in one line."""


def from_json_schema(schema: dict[str, Any] | bool, *, lenient: bool = False) -> str:
    """Any JSON that the schema allows; `lenient` ignores keywords that cannot be enforced."""
    overrides: JsonCompileOptions = {"whitespace_pattern": _WHITESPACE, "lenient": lenient}
    # llguidance knows objects only; in a list of one, false and true are schemas like any other.
    whole = schema if isinstance(schema, dict) else {"allOf": [schema]}
    if "x-guidance" in whole:
        raise GrammarError('Unimplemented keys: ["x-guidance"]')
    try:
        text = json.dumps(_with_safe_patterns(whole))
        check_size(text)
        if is_endless(whole):
            raise GrammarError("it refers to itself with nothing in between")
        return str(LLMatcher.grammar_from_json_schema(text, overrides=overrides))
    except RecursionError:
        raise GrammarError("it is nested too deeply") from None
    except ValueError as error:
        raise GrammarError(one_line(error)) from None


def _with_safe_patterns(schema: Any) -> Any:
    """The same with negated classes that llguidance follows in JSON strings.

    A class of all control characters lets it take any escape, even of what `[^"]` excludes.
    """
    if isinstance(schema, list):
        return [_with_safe_patterns(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    safe = {k: each if k in DATA else _with_safe_patterns(each) for k, each in schema.items()}
    if isinstance(safe.get("pattern"), str):
        safe["pattern"] = _NOT_IN_CLASS.sub(_safe_class, safe["pattern"])
    return safe


def _safe_class(found: re.Match[str]) -> str:
    return found[1] or r"[^\x01" + (r"\]" if found[2] else "")


def from_regex(pattern: str) -> str:
    """The whole answer matches the pattern."""
    check_size(pattern)
    return str(LLMatcher.grammar_from_regex(pattern))


def from_choice(options: Sequence[str]) -> str:
    """The answer is one of these texts."""
    text = json.dumps(list(options))
    check_size(text)
    return str(LLMatcher.grammar_from_lark(grammar_from("choice", text)))


def from_grammar(text: str) -> str:
    """GBNF as llama.cpp knows it, or else llguidance's Lark."""
    check_size(text)
    if text.lstrip().startswith("{"):  # llguidance's own form, which has settings too
        raise GrammarError("it is neither GBNF nor Lark")
    try:
        lark = grammar_from("gbnf", text) if _GBNF_RULE.search(text) else text
    except RecursionError:
        raise GrammarError("it is nested too deeply") from None
    except ValueError as error:
        raise GrammarError(one_line(error)) from None
    return str(LLMatcher.grammar_from_lark(lark))


def combine(lark: str, named: Mapping[str, str]) -> str:
    """A Lark grammar and others, which it refers to as `@name`."""
    others = [_grammar_of(source) | {"name": name} for name, source in named.items()]
    return json.dumps({"grammars": [{"lark_grammar": lark}, *others]})


def is_regex(pattern: str) -> bool:
    """Whether it is a regular expression that can be followed."""
    return not LLMatcher.validate_grammar(from_regex(pattern))


def with_budget(source: str, budget: Budget) -> str:
    """The same grammar; whoever follows it counts the tokens of the thinking."""
    return json.dumps({**json.loads(source), _BUDGET: budget})


def split_budget(source: str) -> tuple[str, Budget | None]:
    """The grammar by itself, and the budget if it has one."""
    if not source.startswith("{") or f'"{_BUDGET}"' not in source:
        return source, None
    grammar = json.loads(source)
    budget = grammar.pop(_BUDGET, None)
    return (source, None) if budget is None else (json.dumps(grammar), Budget(*budget))


def json_schema_of(source: str) -> dict[str, Any] | None:
    """The schema that a grammar was made of, with settings for llguidance; None if of none."""
    schema = _grammar_of(source).get("json_schema")
    return schema if isinstance(schema, dict) else None


def of_json_schema(schema: dict[str, Any]) -> str:
    """A grammar of a schema that has settings for llguidance."""
    return json.dumps({"grammars": [{"json_schema": schema}]})


def _grammar_of(source: str) -> dict[str, Any]:
    if not source.startswith("{"):
        return {"lark_grammar": source}
    grammar: dict[str, Any] = json.loads(source)["grammars"][0]
    return grammar


def after_blank(source: str) -> str:
    """The same with a blank or two before JSON, where a blank means nothing; else as it is."""
    if not source.startswith("{"):
        return source
    grammar = json.loads(source)["grammars"][0]
    if grammar.get("json_schema") is None:
        return source
    first = {"lark_grammar": "start: BLANK? @json\nBLANK: / {1,2}/\n"}
    return json.dumps({"grammars": [first, {**grammar, "name": "json"}]})


def one_line(error: object) -> str:
    """What llguidance says, which may quote all of the grammar."""
    return " ".join(str(error).split())[:300]


def check_size(text: str) -> None:
    """GrammarError for more than a compiler could be asked to take, and for what is no text."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise GrammarError("half of a surrogate pair is no text") from None
    if size > MAX_SOURCE_BYTES:
        raise GrammarError(f"it has {size} bytes, and {MAX_SOURCE_BYTES} are the most")
