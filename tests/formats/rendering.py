"""Calls written in a format, as a model would."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cria.formats.tool_format import KeyedArguments, Slot, ToolFormat

Call = tuple[str, Mapping[str, Any]]


def render_calls(format: ToolFormat, calls: Sequence[Call]) -> str:
    texts = [_render_call(format, number, *call) for number, call in enumerate(calls)]
    return format.begin + format.between.join(texts) + format.end


def _render_call(format: ToolFormat, number: int, name: str, arguments: Mapping[str, Any]) -> str:
    slots = {
        Slot.NAME: name,
        Slot.INDEX: str(number),
        Slot.ID: "a1b2c3d4e",
        Slot.ARGUMENTS: _render_keyed(format.keyed, arguments)
        if format.keyed
        else json.dumps(arguments, ensure_ascii=False),
    }
    return "".join(slots[part] if isinstance(part, Slot) else part for part in format.call)


def _render_keyed(keyed: KeyedArguments, arguments: Mapping[str, Any]) -> str:
    pairs = [_render_pair(keyed, key, value) for key, value in arguments.items()]
    return keyed.open + keyed.between.join(pairs) + keyed.close


def _render_pair(keyed: KeyedArguments, key: str, value: Any) -> str:
    is_text = keyed.key_close_text is not None and isinstance(value, str)
    close = (keyed.key_close_text or "") if is_text else keyed.key_close
    return keyed.key_open + key + close + render_value(keyed.values, value) + keyed.value_close


def render_value(style: str, value: Any) -> str:
    if style == "python":
        return repr(value)
    if style == "quoted":
        return _render_quoted(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _render_quoted(value: Any) -> str:
    if isinstance(value, str):
        return f'<|"|>{value}<|"|>'
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{_render_quoted(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_render_quoted, value)) + "]"
    return json.dumps(value)
