"""Anthropic's error object: on every answer with a status of 400 or more, and in streams."""

from __future__ import annotations

import re

import msgspec

TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By status; others are `invalid_request_error` below 500 and `api_error` from there on."""

_INDEX = re.compile(r"\.?\[(\d+)\]")


class AnthropicErrorObject(msgspec.Struct):
    """What went wrong. The message begins with the path of the field that is to blame."""

    type: str
    message: str


class AnthropicErrorBody(msgspec.Struct, tag_field="type", tag="error"):
    """Every answer of the Messages API with a status of 400 or more."""

    error: AnthropicErrorObject
    request_id: str


def encode_anthropic_error(message: str, status: int, request_id: str) -> bytes:
    """The whole object."""
    # A message may quote what a client sent, half of a surrogate pair included.
    message = message.encode("utf-8", "replace").decode()
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    error = AnthropicErrorObject(kind, message)
    return msgspec.json.encode(AnthropicErrorBody(error, request_id))


def with_path(message: str, param: str | None) -> str:
    """There is no `param` here: `messages[1].content[0]` becomes `messages.1.content.0: ...`."""
    if param is None:
        return message
    path = _INDEX.sub(r".\1", param)
    return f"{path}: {message.replace(param, path)}"


def overflow_message(num_prompt_tokens: int, context_size: int) -> str:
    """Clients match these words, and shorten the conversation."""
    return f"prompt is too long: {num_prompt_tokens} tokens > {context_size} maximum"
