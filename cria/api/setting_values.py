"""What an operator's tables of fields say, as the types of the requests have it.

A name that no request has, a value that its type does not take, and a field that is for each
request to say are `WrongSetting`, the operator's mistake.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import msgspec

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.decoding import RequestBody, attributes, unknown_fields
from cria.api.embeddings import EmbeddingRequest
from cria.api.field_paths import members
from cria.api.unsupported import refuse_unsupported
from cria.api.violations import request_error
from cria.errors import RequestError, SetupError, shown_name

Table = Literal["defaults", "forced"]
Values = dict[str, Any]
"""By path, each of its field's type."""

KINDS: tuple[type[RequestBody], ...] = (ChatCompletionRequest, CompletionRequest, EmbeddingRequest)
"""Those that settings speak of. Responses and messages become chats."""
MAX_DEPTH = 64

PERSONAL = frozenset(
    "model messages prompt suffix input echo stream stream_options logprobs top_logprobs best_of "
    "tools tool_choice functions function_call parallel_tool_calls add_generation_prompt "
    "continue_final_message encoding_format".split()
)
"""What is asked, and the form of the answer: nobody else can say it."""


class WrongSetting(SetupError):
    """A field that cannot be set so, in which table, and why."""

    def __init__(self, table: Table, name: str, reason: str) -> None:
        super().__init__(f"{table}: {shown_name(name)}: {reason}")
        self.table, self.name, self.reason = table, name, reason


def typed_values(kind: type[RequestBody], table: Table, fields: Mapping[str, Any]) -> Values:
    """The fields that requests of this kind have; WrongSetting for what none has."""
    values: Values = {}
    for name, value in fields.items():
        _check_name(table, name, value)
        if value is not None and name in settable(kind):
            values |= members(name, _typed(kind, table, name, value))
    return values


def settable(kind: type[RequestBody]) -> frozenset[str]:
    """The names of the fields that can be set for requests of this kind."""
    return frozenset(attributes(kind)) - PERSONAL - kind.NOTED


def _check_name(table: Table, name: str, value: Any) -> None:
    known = frozenset[str]().union(*map(settable, KINDS))
    if name in known:
        _check_plain(table, name, value, MAX_DEPTH)
        return
    if any(name in attributes(kind) for kind in KINDS):
        raise WrongSetting(table, name, "that is for each request to say.")
    for kind in KINDS:
        with _blaming(table, name):
            refuse_unsupported({name: value}, kind.UNSUPPORTED)
    raise WrongSetting(table, name, f"requests have no such field{suggestion(name, known)}")


def suggestion(name: str, known: frozenset[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, if any is near."""
    near = difflib.get_close_matches(name[:100], sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else "."


@contextmanager
def _blaming(table: Table, name: str) -> Iterator[None]:
    """What is wrong with a request is wrong with the setting."""
    try:
        yield
    except RequestError as error:
        raise WrongSetting(table, name, str(error)) from error


def _check_plain(table: Table, name: str, value: Any, depth: int) -> None:
    """Only what JSON has: no dates, no infinite numbers, nothing too deep."""
    if isinstance(value, float) and not math.isfinite(value):
        raise WrongSetting(table, name, f"{value} is no number that a request could have.")
    if not isinstance(value, (str, int, float, list, dict)):
        raise WrongSetting(table, name, f"a request cannot have a {type(value).__name__}.")
    if isinstance(value, (list, dict)):
        if depth == 0:
            raise WrongSetting(table, name, "it is nested too deeply.")
        for member in value.values() if isinstance(value, dict) else value:
            _check_plain(table, name, member, depth - 1)


def _typed(kind: type[RequestBody], table: Table, name: str, value: Any) -> Any:
    """Its type there is that of the field."""
    attribute = attributes(kind)[name]
    (field,) = (each for each in msgspec.structs.fields(kind) if each.name == attribute)
    holder = msgspec.defstruct(
        "Value", [("value", field.type, msgspec.field(name=name))], kw_only=True
    )
    with _blaming(table, name):
        try:
            made: Any = msgspec.convert({name: value}, holder, str_keys=True)
        except msgspec.ValidationError as error:
            raise request_error(str(error), {name: value}, holder) from None
    made = made.value
    if isinstance(made, msgspec.Struct) or (made and isinstance(made, list)):
        for path in unknown_fields(value, made, f"{name}."):
            raise WrongSetting(table, name, f"there is no '{path}'.")
    return made
