"""msgspec's validation messages, turned into OpenAI's: code, path and a sentence.

msgspec says what it expected, and where (``Expected `int` >= 1 - at `$.n` ``). One table maps
each kind of message to a code; the offending value is looked up in the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from cria.errors import RequestError

Keys = tuple[str | int, ...]

_WHERE = re.compile(r" - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`$")
_PATH_PART = re.compile(r"\[(\d+)\]|(?:^|\.)(\w+)")
_TYPE_NAMES = {
    "int": "an integer",
    "float": "a decimal",
    "str": "a string",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_MAX_SHOWN = 60


class Violation:
    """One refused value: where it is, what it is, and what would be allowed."""

    def __init__(self, message: str, fields: dict[str, Any], kind: type[msgspec.Struct]) -> None:
        where = _WHERE.search(message)
        path = where["path"] if where else ""
        self.text = message[: where.start()] if where else message
        self.kind, self.fields = kind, fields
        self.param = path.replace("[...]", "").lstrip(".")
        self.keys: Keys = tuple(int(i) if i else name for i, name in _PATH_PART.findall(self.param))
        self.subject = f"key of '{self.param}'" if where and where["key"] else f"'{self.param}'"
        is_known = not ("[...]" in path or (where and where["key"]))
        self.value = _look_up(fields, self.keys) if is_known else None

    def error(self, sentence: str, code: str) -> RequestError:
        return RequestError(sentence, param=self.param or None, code=code)


def request_error(message: str, fields: dict[str, Any], kind: type[msgspec.Struct]) -> RequestError:
    """The error for msgspec's `message` about `fields`, which were to become a `kind`."""
    violation = Violation(message, fields, kind)
    for pattern, describe in _TABLE:
        match = pattern.fullmatch(violation.text)
        if match:
            return describe(violation, match)
    return violation.error(f"Invalid {violation.subject}: {violation.text}.", "invalid_value")


def shown(value: object) -> str:
    """A value for an error message: short, and never a whole document."""
    if isinstance(value, (list, dict)):
        return _TYPE_NAMES["array" if isinstance(value, list) else "object"]
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _missing(violation: Violation, match: re.Match[str]) -> RequestError:
    path = violation.param
    violation.param = f"{path}.{match['field']}" if path else match["field"]
    return violation.error(
        f"Missing required parameter: '{violation.param}'.", "missing_required_parameter"
    )


def _wrong_type(violation: Violation, match: re.Match[str]) -> RequestError:
    expected = " or ".join(_TYPE_NAMES.get(t, t) for t in match["expected"].split(" | "))
    got = _TYPE_NAMES.get(match["got"], match["got"])
    subject = violation.subject if violation.param else "the body"
    subject = f"a {subject}" if subject.startswith("key") else subject
    return violation.error(
        f"Invalid type for {subject}: expected {expected}, but got {got} instead.", "invalid_type"
    )


def _out_of_range(violation: Violation, match: re.Match[str]) -> RequestError:
    number = "integer" if match["type"] == "int" else "decimal"
    below = match["op"].startswith(">")
    side = "below minimum" if below else "above maximum"
    got = "" if violation.value is None else f", but got {shown(violation.value)} instead"
    return violation.error(
        f"Invalid {violation.subject}: {number} {side} value. "
        f"Expected a value {match['op']} {match['limit']}{got}.",
        f"{number}_{'below_min' if below else 'above_max'}_value",
    )


_LENGTH_CODES = {
    ("array", ">="): ("empty_array", "empty array. Expected at least {} item"),
    ("array", "<="): ("array_above_max_length", "array too long. Expected at most {} items"),
    ("str", ">="): ("empty_string", "empty string. Expected at least {} character"),
    ("str", "<="): ("string_above_max_length", "string too long. Expected at most {} characters"),
    ("object", "<="): ("object_above_max_properties", "too many keys. Expected at most {}"),
}


def _wrong_length(violation: Violation, match: re.Match[str]) -> RequestError:
    code, words = _LENGTH_CODES[match["type"], match["op"]]
    return violation.error(f"Invalid {violation.subject}: {words.format(match['limit'])}.", code)


def _not_allowed(violation: Violation, match: re.Match[str]) -> RequestError:
    values = allowed_values(violation.kind, violation.keys, violation.fields)
    allowed = ", ".join(f"'{value}'" for value in values)
    return violation.error(
        f"Invalid value for {violation.subject}: {shown(violation.value)}. "
        f"Supported values are: {allowed}.",
        "invalid_value",
    )


_TABLE: tuple[tuple[re.Pattern[str], Callable[[Violation, re.Match[str]], RequestError]], ...] = (
    (re.compile(r"Object missing required field `(?P<field>\w+)`"), _missing),
    (re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>\w+)`"), _wrong_type),
    (re.compile(r"Expected `(?P<type>int|float)` (?P<op>[<>]=?) (?P<limit>\S+)"), _out_of_range),
    (
        re.compile(r"Expected `(?P<type>\w+)` of length (?P<op>[<>]=) (?P<limit>\d+)"),
        _wrong_length,
    ),
    (re.compile(r"Invalid (?:enum )?value .*", re.DOTALL), _not_allowed),
)


def _look_up(value: Any, keys: Keys) -> Any:
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def allowed_values(kind: type[msgspec.Struct], keys: Keys, fields: dict[str, Any]) -> list[str]:
    """The literals or tags that the type of the field at `keys` allows, in these `fields`."""
    nodes: list[inspect.Type] = [inspect.type_info(kind)]
    for number, key in enumerate(keys[:-1], start=1):
        value = _look_up(fields, keys[:number])
        found = [child for node in nodes for child in _children(node, key)]
        # Of messages, for example, those of the role; the last tag may be what is wrong.
        same = [node for node in found if number < len(keys) - 1 and _has_tag_of(node, value)]
        nodes = same or found
    values = (value for node in nodes for value in _choices(node, keys[-1]))
    return list(dict.fromkeys(values))


def _alternatives(node: inspect.Type) -> Iterable[inspect.Type]:
    return node.types if isinstance(node, inspect.UnionType) else (node,)


def _children(node: inspect.Type, key: str | int) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.ListType) and isinstance(key, int):
        yield from _alternatives(node.item_type)
    elif isinstance(node, inspect.StructType):
        for field in node.fields:
            if field.encode_name == key:
                yield from _alternatives(field.type)


def _has_tag_of(node: inspect.Type, value: Any) -> bool:
    return (
        isinstance(node, inspect.StructType)
        and isinstance(value, dict)
        and node.tag_field in value
        and value[node.tag_field] == node.tag
    )


def _choices(node: inspect.Type, key: str | int) -> Iterator[str]:
    if isinstance(node, inspect.StructType) and node.tag_field == key:
        yield str(node.tag)
    for child in _children(node, key):
        if isinstance(child, inspect.LiteralType):
            yield from map(str, child.values)
