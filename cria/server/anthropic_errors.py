"""The same failures as everywhere (`errors`), in Anthropic's terms: its statuses and its object."""

from __future__ import annotations

from werkzeug.exceptions import HTTPException

from cria.api.anthropic.errors import encode_anthropic_error, overflow_message, with_path
from cria.errors import ContextLengthExceeded
from cria.server.errors import UNEXPECTED, UNEXPECTED_MESSAGE, failure_of, framework_message

OVERLOADED = 529
"""Anthropic's own: come back later."""


def anthropic_error(error: Exception, request_id: str) -> tuple[int, bytes]:
    """The status and the body of an exception."""
    status = anthropic_status(error)
    return status, encode_anthropic_error(message_of(error), status, request_id)


def anthropic_framework_error(
    error: HTTPException, method: str, path: str, request_id: str
) -> bytes:
    """The same for what Flask itself refuses."""
    message = framework_message(error, method, path)
    return encode_anthropic_error(message, error.code or 500, request_id)


def anthropic_status(error: Exception) -> int:
    """A 503 is an overload if it is worth trying again, and else a failure of ours."""
    failure = failure_of(error)
    if failure.status != 503:
        return failure.status
    return OVERLOADED if getattr(error, "may_retry", True) else 500


def message_of(error: Exception) -> str:
    """One sentence, behind the path of the field that is to blame."""
    if failure_of(error) is UNEXPECTED:
        return UNEXPECTED_MESSAGE
    if isinstance(error, ContextLengthExceeded):
        return overflow_message(error.num_prompt_tokens, error.context_size)
    return with_path(str(error), getattr(error, "param", None))
