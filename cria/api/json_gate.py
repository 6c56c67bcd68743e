"""The bytes of a body, looked at as a whole before and after msgspec reads them.

msgspec refuses what is no JSON, NaN and infinity, what is not UTF-8, lone surrogates and trailing
data. Here is what it lets through: values nested too deeply for those who walk them, millions of
empty objects, and keys that are there twice.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from cria.errors import RequestError

MAX_DEPTH: Final = 64
MAX_SCHEMA_DEPTH: Final = 128
"""Where JSON schemas are."""
MAX_CONTAINERS: Final = 1_000_000
"""Objects and arrays in one body; an empty one takes some 20 times the memory of its bytes."""
SCHEMA_FIELDS: Final = frozenset(
    {
        "format",
        "functions",
        "guided_json",
        "json_schema",
        "output_config",
        "output_format",
        "response_format",
        "structured_outputs",
        "text",
        "tools",
    }
)

_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b'"[]{}'))
_SQUARE = bytes.maketrans(b"{}", b"[]")
_STRING = re.compile(rb'"[^"]*"')


def brackets(body: bytes) -> bytes:
    """The brackets of a JSON text that are not in strings, all of them square.

    Linear, and no step in Python for a character. An escape is gone before quotes are looked at;
    two quotes in a row can go because that changes for no bracket whether it is in a string.
    """
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _ALL_BUT_BRACKETS)
    bare = bare.replace(b'""', b"")
    # Between two strings there is at least one bracket now.
    if bare.count(b'"') > 4 * MAX_CONTAINERS + 2:
        raise _too_large()
    return _STRING.sub(b"", bare).translate(_SQUARE)


def is_deeper(nested: bytes, depth: int) -> bool:
    """Whether these `brackets` go into each other more than `depth` times.

    Each round takes the innermost pairs away.
    """
    too_deep = b"[" * (depth + 1)
    for _ in range(depth):
        if too_deep in nested or not nested:
            break
        nested = nested.replace(b"[]", b"")
    return too_deep in nested or b"[]" in nested


def check_shape(body: bytes) -> bool:
    """RequestError if no body may be like this; else whether only a schema may.

    Nothing but counting for a body of few brackets.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    nested = brackets(body)
    is_large = nested.count(b"[") > MAX_CONTAINERS
    if b"[" * (MAX_SCHEMA_DEPTH + 1) in nested or (
        not is_large and is_deeper(nested, MAX_SCHEMA_DEPTH)
    ):
        raise _too_deep(None, MAX_SCHEMA_DEPTH)
    if is_large:
        raise _too_large()
    return is_deeper(nested, MAX_DEPTH)


def check_depths(fields: dict[str, Any]) -> None:
    """RequestError for the first field that is nested too deeply and cannot hold a schema."""
    for name, value in fields.items():
        if name in SCHEMA_FIELDS or not isinstance(value, (dict, list)):
            continue
        # The body's own brackets count as one.
        if is_deeper(brackets(msgspec.json.encode(value)), MAX_DEPTH - 1):
            raise _too_deep(name, MAX_DEPTH)


def check_keys(body: bytes, value: object) -> None:
    """RequestError if an object of the text `body`, which is `value`, has a key twice.

    A key that was dropped took its colon with it, so that the value's own text has fewer. Colons
    that are written as an escape would make up for it; such a text is read again.
    """
    if b"\\u003a" not in body and b"\\u003A" not in body and _num_colons(value) == body.count(b":"):
        return
    json.loads(body, object_pairs_hook=_distinct, parse_int=str, parse_float=str)


def place(body: bytes, offset: int) -> str:
    """Where a byte is, for a human."""
    line = body.count(b"\n", 0, offset) + 1
    column = offset - (body.rfind(b"\n", 0, offset) + 1) + 1
    return f"line {line}, column {column}"


def _num_colons(value: object) -> int:
    try:
        return msgspec.json.encode(value).count(b":")
    except (OverflowError, ValueError):  # an integer that msgspec reads and does not write
        return -1


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    """Values are not needed: what is inside them was looked at already."""
    seen = set()
    for name, _ in pairs:
        if name in seen:
            shown = name if len(name) <= 100 else name[:100] + "..."
            raise RequestError(
                f"Duplicate key in the JSON body of your request: {shown!r} is there twice. "
                "Send it once.",
                param=shown,
                code="invalid_json",
            )
        seen.add(name)


def _too_large() -> RequestError:
    return RequestError(
        f"The JSON body of your request has more than {MAX_CONTAINERS} objects and arrays. "
        "Send several requests.",
        code="json_too_large",
    )


def _too_deep(name: str | None, most: int) -> RequestError:
    where = "The JSON body of your request" if name is None else f"Invalid {name[:100]!r}: it"
    return RequestError(
        f"{where} is nested too deeply: {most} levels are the most. Send a flatter object.",
        param=None if name is None else name[:100],
        code="json_too_deep",
    )
