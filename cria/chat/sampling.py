"""What `/set` may set: fields of a request, with the ranges that the API gives them."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec

from cria.api.chat import ChatCompletionRequest
from cria.errors import SetupError

NAMES = (
    *("temperature", "top_p", "top_k", "min_p", "typical_p", "top_n_sigma", "seed", "max_tokens"),
    *("presence_penalty", "frequency_penalty", "repeat_penalty", "repeat_last_n", "stop"),
    *("dry_multiplier", "xtc_probability", "xtc_threshold", "mirostat", "mirostat_tau"),
    *("mirostat_eta", "reasoning_effort", "reasoning_budget", "enable_thinking"),
    *("context_overflow", "priority"),
)

_HINTS = get_type_hints(ChatCompletionRequest, include_extras=True)
_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(ChatCompletionRequest)}


def parse(name: str, text: str) -> Any:
    """A field's value; SetupError names what is wrong with it."""
    if name not in NAMES:
        raise SetupError(f"There is no {name} to set; there is: {', '.join(sorted(NAMES))}.")
    kind = _HINTS[_FIELDS[name].name]
    try:
        return msgspec.convert(_value(text), kind)
    except msgspec.ValidationError as error:
        raise SetupError(f"{name} cannot be {text}: {error}.") from None


def _value(text: str) -> Any:
    """JSON, or the plain text."""
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text
