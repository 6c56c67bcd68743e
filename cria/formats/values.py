"""The text of one argument as JSON text, in the three ways in which formats write values."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Callable
from typing import Any, Literal, NoReturn

from cria.formats.json_text import without_surrogates
from cria.formats.quoted_value import quoted_to_value
from cria.formats.schema_types import type_name

_FAILURES = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
"""What a text can do to a parser."""

Style = Literal["tagged", "python", "quoted"]


def to_json(text: str, style: Style, types: frozenset[str], quote: str) -> str:
    """`types` are those that the schema allows, none if it does not say; `quote` is of `quoted`.

    What is none of them, or no value at all, is a string of this text.
    """
    if style == "tagged":
        return tagged_to_json(text, types)
    parse: list[Callable[[str], Any]] = [load_json, _load_python]
    if style == "quoted":
        parse = [lambda text: quoted_to_value(text, quote)]
    for one in parse:
        try:
            return dump_json(one(text))
        except _FAILURES:
            continue
    if is_json_text(text):
        return without_surrogates(text.strip())
    return dump_json(_without_quotes(text))


def tagged_to_json(text: str, types: frozenset[str], is_text: bool | None = None) -> str:
    """A value that stands as it is if it is text; `is_text` if the format has told."""
    if is_text or (is_text is None and types == {"string"}):
        return dump_json(text)
    try:
        value = _load_any(text, types)
    except _FAILURES:
        return dump_json(text)
    may_be_text = is_text is None and "string" in types
    if may_be_text and not _fits(value, types - {"string"}):
        return dump_json(text)
    try:
        return dump_json(value)
    except ValueError:  # a number that is too large for Python, and none the less JSON
        return without_surrogates(text.strip())


def load_json(text: str) -> Any:
    """Strictly: JSON has no NaN. Raises ValueError or RecursionError."""
    return json.loads(text, parse_constant=_refuse)


def is_json_text(text: str) -> bool:
    """Whether it is a JSON value, and all of one."""
    try:
        load_json(text)
    except _FAILURES:
        return False
    return True


def dump_json(value: Any) -> str:
    """As short as chat templates write it. Raises for what JSON has not."""
    return without_surrogates(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _load_any(text: str, types: frozenset[str]) -> Any:
    try:
        return load_json(text)
    except ValueError:
        if not types:
            raise
    # Models that have read much Python write True and None.
    value = _load_python(text)
    dump_json(value)
    return value


def _fits(value: object, types: frozenset[str]) -> bool:
    name = type_name(value) if isinstance(value, (str, dict, list, int, float)) else "null"
    return name in types or (name == "integer" and "number" in types)


def _load_python(text: str) -> Any:
    with warnings.catch_warnings():
        # Of escapes that Python does not know.
        warnings.simplefilter("ignore")
        return ast.literal_eval(text)


def _without_quotes(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if is_quoted else text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
