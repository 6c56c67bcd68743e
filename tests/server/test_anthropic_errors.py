"""The same exceptions as in `test_errors`, in Anthropic's terms."""

from __future__ import annotations

import json

import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound, RequestEntityTooLarge

import cria.errors as tree
from cria.server.anthropic_errors import anthropic_error, anthropic_framework_error

CASES = [
    (tree.RequestError("no", param="a[0].b"), 400, "invalid_request_error", "a.0.b: no"),
    (tree.RequestError("no"), 400, "invalid_request_error", "no"),
    (
        tree.ContextLengthExceeded(9, 8, param="messages"),
        400,
        "invalid_request_error",
        "prompt is too long: 9 tokens > 8 maximum",
    ),
    (tree.AuthenticationFailed("no"), 401, "authentication_error", "no"),
    (tree.EngineUnavailable("later"), 529, "overloaded_error", "later"),
    (tree.ServerStopping("later"), 529, "overloaded_error", "later"),
    (tree.EngineDied("gone"), 500, "api_error", "gone"),
    (tree.EngineError("failed"), 500, "api_error", "failed"),
]


@pytest.mark.parametrize(("error", "status", "kind", "message"), CASES)
def test_status_and_object(error: Exception, status: int, kind: str, message: str) -> None:
    found, body = anthropic_error(error, "req_1")
    assert found == status
    assert json.loads(body) == {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_1",
    }


def test_an_unknown_model_is_not_found() -> None:
    status, body = anthropic_error(tree.ModelNotFound("x"), "r")
    assert (status, json.loads(body)["error"]["type"]) == (404, "not_found_error")


def test_a_bug_says_nothing_of_what_went_wrong_inside() -> None:
    status, body = anthropic_error(KeyError("secret"), "r")
    assert status == 500
    assert b"secret" not in body


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFound(), "not_found_error"),
        (MethodNotAllowed(), "invalid_request_error"),
        (RequestEntityTooLarge(), "request_too_large"),
    ],
)
def test_framework_errors(error: NotFound, kind: str) -> None:
    body = json.loads(anthropic_framework_error(error, "GET", "/v1/messages/x", "r"))
    assert body["error"]["type"] == kind
    assert body["request_id"] == "r"
