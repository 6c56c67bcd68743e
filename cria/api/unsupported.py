"""Fields that would change the answer and that this server does not implement: 400, by name.

A value that asks for nothing (`null`, an empty container, `top_a: 0`) is let through, since
many clients always send all fields. A field leaves these tables by becoming a field of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cria.errors import RequestError


class Refusal(NamedTuple):
    """When and how to refuse one field."""

    harmless: tuple[object, ...] = ()
    """Values that leave the answer as it is, besides the empty ones."""
    code: str | None = "unsupported_parameter"
    reason: str = "this server does not implement it"
    empty_is_nothing: bool = True
    """An empty value asks for nothing; if not, only null does."""


_EMPTY: tuple[object, ...] = ("", [], {})
OTHER_SERVERS: Mapping[str, Refusal] = {
    # Samplers.
    "tfs_z": Refusal((1,)),
    "top_a": Refusal((0,)),
    "length_penalty": Refusal((1,)),
    "no_repeat_ngram_size": Refusal((0,)),
    "use_beam_search": Refusal((False,)),
    # What may be generated.
    "bad_words": Refusal(),
    # When to stop.
    "n_predict": Refusal((-1,), reason="it is 'max_tokens' here"),
    "max_new_tokens": Refusal(reason="it is 'max_tokens' here"),
    "stop_regex": Refusal(),
    "include_stop_str_in_output": Refusal((False,)),
    "t_max_predict_ms": Refusal((0, -1)),
    # What is computed, and what is answered.
    "lora_path": Refusal(reason="send 'lora' with the adapter's name instead"),
    "n_probs": Refusal((0,)),
    "prompt_logprobs": Refusal((0, False)),
    "n_discard": Refusal((0,), reason="a shift of the context drops half of what is not kept"),
    "timings_per_token": Refusal(
        (False,), reason="timings are told at the end: send 'timings': true instead"
    ),
    "return_tokens": Refusal((False,), reason="send 'return_token_ids': true instead"),
    "truncation_side": Refusal(("left",), reason="a prompt that is cut loses its beginning"),
    "skip_special_tokens": Refusal((True,)),
    "add_special_tokens": Refusal((True,)),
    "chat_template": Refusal(reason="the template is the model's, a request cannot bring its own"),
    "documents": Refusal(),
    "input_prefix": Refusal(),
    "input_suffix": Refusal(),
}


def refuse_unsupported(fields: Mapping[str, Any], table: Mapping[str, Refusal]) -> None:
    """Raise for the first field of the table that the request asks for."""
    for name, refusal in table.items():
        if name in fields and not _asks_for_nothing(fields[name], refusal):
            what = "value" if refusal.code == "unsupported_value" else "parameter"
            raise RequestError(
                f"Unsupported {what}: '{name}' cannot be honoured here: {refusal.reason}. "
                "Leave it out.",
                param=name,
                code=refusal.code,
            )


def _asks_for_nothing(value: object, refusal: Refusal) -> bool:
    # `True == 1` in Python, and a boolean is not a number here: compare the types too.
    allowed = (*(_EMPTY if refusal.empty_is_nothing else ()), None, *refusal.harmless)
    return any(type(value) is type(other) and value == other for other in allowed)
