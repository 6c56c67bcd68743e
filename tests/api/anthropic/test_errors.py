from __future__ import annotations

import json

import pytest

from cria.api.anthropic.errors import encode_anthropic_error, overflow_message, with_path


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_the_type_follows_the_status(status: int, kind: str) -> None:
    assert json.loads(encode_anthropic_error("no", status, "req_1")) == {
        "type": "error",
        "error": {"type": kind, "message": "no"},
        "request_id": "req_1",
    }


def test_half_a_surrogate_pair_is_no_bug() -> None:
    assert b'"?"' in encode_anthropic_error("\ud800", 400, "r")


@pytest.mark.parametrize(
    ("param", "said"),
    [
        (None, "Invalid 'messages[1].content[0]'."),
        ("messages[1].content[0]", "messages.1.content.0: Invalid 'messages.1.content.0'."),
        ("messages.[1].role", "messages.1.role: Invalid 'messages[1].content[0]'."),
    ],
)
def test_a_message_begins_with_the_path(param: str | None, said: str) -> None:
    assert with_path("Invalid 'messages[1].content[0]'.", param) == said


def test_the_words_that_clients_match() -> None:
    assert overflow_message(9, 8) == "prompt is too long: 9 tokens > 8 maximum"
