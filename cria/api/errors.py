"""The body of every answer with a status of 400 or more."""

from __future__ import annotations

import msgspec


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _ErrorBody(msgspec.Struct):
    error: _Error


def encode_error(message: str, type: str, param: str | None, code: str | None) -> bytes:
    """All four keys, always: clients read them without asking."""
    # A message may quote what a client sent, half of a surrogate pair included.
    message = message.encode("utf-8", "replace").decode()
    return msgspec.json.encode(_ErrorBody(_Error(message, type, param, code)))
