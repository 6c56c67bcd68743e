"""The body of every answer with a status of 400 or more."""

from __future__ import annotations

import msgspec


class ErrorObject(msgspec.Struct):
    """What went wrong; `param` is the path of the offending field."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(msgspec.Struct):
    """Every answer with a status of 400 or more."""

    error: ErrorObject


def encode_error(message: str, type: str, param: str | None, code: str | None) -> bytes:
    """All four keys, always: clients read them without asking."""
    # A message may quote what a client sent, half of a surrogate pair included.
    message = message.encode("utf-8", "replace").decode()
    return msgspec.json.encode(ErrorBody(ErrorObject(message, type, param, code)))
