"""From the bytes of a request body to a checked Struct.

1. `decode` returns, or raises `RequestError`; no bytes whatsoever make it raise anything else.
2. `null` is the same as absent, `1.0` the same as `1`, and a boolean is not a number.
3. Every field is honoured, refused or reported: what the Struct does not know is in the warnings.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, ClassVar, TypeVar

import msgspec

from cria.api.json_gate import check_depths, check_keys, check_shape, place
from cria.api.unsupported import Refusal, refuse_unsupported
from cria.api.violations import request_error
from cria.errors import RequestError

MAX_WARNINGS = 32
MAX_WARNING_LENGTH = 100
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class Settled(msgspec.Struct, frozen=True):
    """What the server's own settings have made of a request."""

    filled: frozenset[str] = frozenset()
    """Paths of what it says now, and did not say so when it came."""
    overruled: tuple[str, ...] = ()
    """Paths of what it said in vain."""

    def told(self, warnings: Iterable[str]) -> tuple[str, ...]:
        """The warnings for its client: nothing about fields that it has not sent."""
        others = (path for path in warnings if path not in self.filled)
        return tuple(dict.fromkeys((*self.overruled, *others)))


UNSETTLED = Settled()


class RequestBody(msgspec.Struct, kw_only=True, dict=True):
    """Base of all requests; the two tables say what becomes of fields that have no effect.

    Beside its fields a request knows which of them were sent, and what was made of it: no body can
    say that.
    """

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {}
    """Fields that are refused, unless they hold a value that asks for nothing."""
    NOTED: ClassVar[frozenset[str]] = frozenset()
    """Fields whose type is checked and that change nothing."""
    ARRAY: ClassVar[str] = ""
    """The field that a body means that is a bare array; empty: no body may be one."""

    @classmethod
    def prepared(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields in the form that the types below describe, if clients send others too."""
        return fields

    @classmethod
    def explain(cls, fields: dict[str, Any]) -> RequestError | None:
        """Why these fields do not convert, if that can be said better than by their types."""
        return None

    def without_effect(self) -> Iterator[str]:
        """Paths of further fields that were given and change nothing in this request."""
        yield from ()

    def check_strictly(self) -> None:
        """Raise for what only strict mode refuses, beside fields that are unknown."""

    @property
    def given(self) -> frozenset[str]:
        """The fields that were sent, by their names on the wire."""
        names: frozenset[str] = self.__dict__.get("given", frozenset())
        return names

    @property
    def settled(self) -> Settled:
        """What the server's settings have made of it."""
        settled: Settled = self.__dict__.get("settled", UNSETTLED)
        return settled

    def note(self, **facts: object) -> None:
        """Remember what no field holds: `given`, `settled`."""
        self.__dict__.update(facts)


Body = TypeVar("Body", bound=RequestBody)


def decode(body: bytes, kind: type[Body]) -> tuple[Body, tuple[str, ...]]:
    """The request, and the paths of its fields that are unknown or have no effect."""
    if kind.ARRAY and body.lstrip()[:1] == b"[":
        body = b'{"%s": %s}' % (kind.ARRAY.encode(), body)
    fields = _drop_nulls(_parse_object(body), kind)
    refuse_unsupported(fields, kind.UNSUPPORTED)
    fields = kind.prepared(fields)
    try:
        request = msgspec.convert(fields, kind, str_keys=True)
    except msgspec.ValidationError as error:
        raise kind.explain(fields) or request_error(str(error), fields, kind) from None
    request.note(given=frozenset(fields))
    return request, _warnings(fields, request)


def _number(text: str) -> int | float:
    """A JSON number with a point or an exponent; an int if it is one."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return int(value) if value.is_integer() else value


_json = msgspec.json.Decoder(float_hook=_number)


def _parse_object(body: bytes) -> dict[str, Any]:
    is_deep = check_shape(body)
    text = body.removeprefix(codecs.BOM_UTF8)
    try:
        # msgspec checks only the strings that it looks into: check all of the body here.
        fields = _json.decode(text.decode())
    except ValueError as error:
        raise _invalid(text, error) from None
    except RecursionError:
        raise RequestError(
            "The JSON body of your request is nested too deeply. Send a flatter object.",
            code="json_too_deep",
        ) from None
    if not isinstance(fields, dict):
        raise RequestError(
            "The body of your request has to be a JSON object: {...}.", code="invalid_json"
        )
    check_keys(text, fields)
    if is_deep:
        check_depths(fields)
    return fields


def _invalid(text: bytes, error: ValueError) -> RequestError:
    """What is wrong with a text that is no JSON, and where if that is known."""
    reason, _, _ = str(error).partition(" - at `")
    found = re.fullmatch(r"JSON is malformed: (?P<reason>.*) \(byte (?P<offset>\d+)\)", reason)
    if isinstance(error, UnicodeDecodeError):
        reason = f"it is no UTF-8 ({place(text, error.start)})"
    elif found:
        reason = f"{found['reason']} ({place(text, int(found['offset']))})"
    elif _HALF_PAIR.search(text):
        reason = "it has one half of a surrogate pair, or it ends early"
    elif reason == "Input data was truncated":
        reason = f"it ends early ({place(text, len(text))})" if text else "it is empty"
    return RequestError(
        f"We could not parse the JSON body of your request: {reason[:200]}. "
        "The body has to be one JSON object in UTF-8.",
        code="invalid_json",
    )


@cache
def _required_fields(kind: type[RequestBody]) -> frozenset[str]:
    return frozenset(f.encode_name for f in msgspec.structs.fields(kind) if f.required)


def _drop_nulls(fields: dict[str, Any], kind: type[RequestBody]) -> dict[str, Any]:
    """A required field keeps its null: whether it may be null is for its type to say."""
    required = _required_fields(kind)
    return {name: v for name, v in fields.items() if v is not None or name in required}


def _warnings(fields: dict[str, Any], request: RequestBody) -> tuple[str, ...]:
    paths = [name for name in fields if name in request.NOTED]
    paths += islice(request.without_effect(), MAX_WARNINGS)
    for path in unknown_fields(fields, request):
        if path in request.UNSUPPORTED:
            continue
        paths.append(printable(path))
        if len(paths) >= MAX_WARNINGS:
            break
    return tuple(paths)


def unknown_fields(raw: Any, made: Any, path: str = "") -> Iterator[str]:
    """Walk what was sent beside what was made of it: a key without a field is unknown."""
    if isinstance(made, msgspec.Struct):
        known = attributes(type(made))
        for name, value in raw.items():
            if name in known:
                child = getattr(made, known[name])
                if isinstance(child, (msgspec.Struct, list)):
                    yield from unknown_fields(value, child, f"{path}{name}.")
            elif value is not None and name != made.__struct_config__.tag_field:
                yield path + name
    elif made and not isinstance(made[0], int):  # token ids may be many
        for index, (value, child) in enumerate(zip(raw, made, strict=True)):
            if isinstance(child, msgspec.Struct):
                yield from unknown_fields(value, child, f"{path[:-1]}[{index}].")


@cache
def attributes(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Attributes by their name on the wire."""
    return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


def printable(path: str) -> str:
    """Warnings travel in a response header, and the names in them are the client's."""
    return re.sub(r"[^\w.\[\]-]", "?", path[:MAX_WARNING_LENGTH], flags=re.ASCII)
