"""`ToolFormat`: how a model writes tool calls, as data.

One table serves the grammar that forces a call and the parser that reads it. An answer with calls
is `begin`, the calls with `between` between them, `end`; a call is its parts in order.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple


class Slot(enum.Enum):
    """What differs from call to call."""

    NAME = "name"
    ARGUMENTS = "arguments"
    ID = "id"
    """Nine letters or digits that the model makes up."""
    INDEX = "index"
    """A decimal number: which call of the answer it is."""


class KeyedArguments(NamedTuple):
    """Arguments that are not one JSON object: keys and values between marks.

    `values` says how a value is written. `tagged`: text as it is, anything else as JSON. `python`:
    a Python literal. `quoted`: text between `<|"|>`, objects and arrays of the same, else JSON.
    """

    key_open: str
    key_close: str
    """Between a key and its value."""
    value_close: str
    values: Literal["tagged", "python", "quoted"] = "tagged"
    open: str = ""
    """Before the first key; also there if there are no arguments."""
    between: str = ""
    close: str = ""
    key_close_text: str | None = None
    """Instead of `key_close` where the value is text, if the format tells the two apart."""


class ToolFormat(NamedTuple):
    """The texts are as the model's template writes them, control tokens by name."""

    call: tuple[str | Slot, ...]
    begin: str = ""
    between: str = ""
    end: str = ""
    keyed: KeyedArguments | None = None
    """None: the arguments are one JSON object."""
    is_whole: bool = False
    """There is no mark: an answer that begins like a call is one, and holds no text beside it."""
    max_calls: int | None = None
    """Of one answer; None for any number."""


_HERMES_CALL = (
    '<tool_call>\n{"name": "',
    Slot.NAME,
    '", "arguments": ',
    Slot.ARGUMENTS,
    "}\n</tool_call>",
)
HERMES = ToolFormat(_HERMES_CALL, between="\n")
"""Of Hermes, Qwen and many others; for models whose template knows no tools, too."""


class WrittenCall(NamedTuple):
    """A call that is to be written, or was."""

    name: str
    arguments: dict[str, Any]
    id: str
    number: int


def write_calls(format: ToolFormat, calls: Sequence[WrittenCall]) -> str:
    """The calls as the model writes them."""
    return format.begin + format.between.join(_write(format, c) for c in calls) + format.end


def _write(format: ToolFormat, call: WrittenCall) -> str:
    slots = {
        Slot.NAME: call.name,
        Slot.ARGUMENTS: _write_arguments(format.keyed, call.arguments),
        Slot.ID: call.id,
        Slot.INDEX: str(call.number),
    }
    return "".join(slots[part] if isinstance(part, Slot) else part for part in format.call)


def _write_arguments(keyed: KeyedArguments | None, arguments: dict[str, Any]) -> str:
    if keyed is None:
        return json.dumps(arguments, ensure_ascii=False)
    pairs = [_write_pair(keyed, key, value) for key, value in arguments.items()]
    return keyed.open + keyed.between.join(pairs) + keyed.close


def _write_pair(keyed: KeyedArguments, key: str, value: object) -> str:
    is_text = isinstance(value, str)
    close = keyed.key_close_text if is_text else None
    text = write_value(value, keyed.values)
    return keyed.key_open + key + (close or keyed.key_close) + text + keyed.value_close


def write_value(value: Any, values: Literal["tagged", "python", "quoted"]) -> str:
    """One value of keyed arguments."""
    if values == "python":
        return repr(value)
    if isinstance(value, str):
        return f'<|"|>{value}<|"|>' if values == "quoted" else value
    if values == "quoted" and isinstance(value, dict):
        members = (f"{key}:{write_value(item, values)}" for key, item in value.items())
        return "{" + ",".join(members) + "}"
    if values == "quoted" and isinstance(value, list):
        return "[" + ",".join(write_value(item, values) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
