"""Every exception of the tree has its row, and every row its envelope."""

from __future__ import annotations

import json

import pytest
from werkzeug.exceptions import ImATeapot, MethodNotAllowed, NotFound

import cria.errors as tree
from cria.server import errors

CASES = [
    (tree.RequestError("no", param="n", code="invalid_value"), 400, "n", "invalid_value"),
    (tree.ContextLengthExceeded(9, 8, param="prompt"), 400, "prompt", "context_length_exceeded"),
    (tree.ModelNotFound("x"), 404, "model", "model_not_found"),
    (tree.StoredNotFound("Response", "x"), 404, None, None),
    (tree.AuthenticationFailed("no"), 401, None, None),
    (tree.AuthenticationFailed("no", code="invalid_api_key"), 401, None, "invalid_api_key"),
    (tree.EngineUnavailable("later"), 503, None, "model_loading"),
    (tree.EngineUnavailable("later", code="x"), 503, None, "x"),
    (tree.EngineDied("gone"), 503, None, "engine_crashed"),
    (tree.EngineDied("gone", code="out_of_memory"), 503, None, "out_of_memory"),
    (tree.QueueTimeout("late"), 503, None, "queue_timeout"),
    (tree.QueueFull("full", retry_after=2), 429, None, "queue_full"),
    (tree.RateLimited("much", retry_after=2), 429, None, "rate_limit_exceeded"),
    (tree.RequestQuarantined("bad"), 400, None, "request_quarantined"),
    (tree.StoreUnwritable("full"), 507, None, "storage_full"),
    (tree.EngineError("failed"), 500, None, "server_error"),
    (tree.ClientGone("gone"), 499, None, None),
]


@pytest.mark.parametrize(("error", "status", "param", "code"), CASES)
def test_status_and_envelope(
    error: Exception, status: int, param: str | None, code: str | None
) -> None:
    body = json.loads(errors.error_body(error))
    assert errors.failure_of(error).status == status
    assert body == {
        "error": {
            "message": str(error),
            "type": errors.failure_of(error).type,
            "param": param,
            "code": code,
        }
    }


def test_a_subclass_without_a_row_is_described_by_its_base() -> None:
    class Special(tree.EngineDied):
        pass

    assert errors.failure_of(Special("x")) is errors.FAILURES[tree.EngineDied]


def test_a_bug_says_nothing_of_what_went_wrong_inside() -> None:
    body = errors.error_body(KeyError("secret"))
    assert b"secret" not in body
    assert errors.failure_of(KeyError()).status == 500
    assert not errors.is_expected(KeyError())


def test_only_a_crash_tells_the_client_whether_to_retry() -> None:
    crashed = tree.EngineDied("x", retry_after=2.5)
    assert errors.error_headers(crashed) == {"Retry-After": "3", "x-should-retry": "false"}
    innocent = tree.EngineDied("x", may_retry=True)
    assert errors.error_headers(innocent)["x-should-retry"] == "true"
    assert errors.error_headers(tree.EngineUnavailable("x")) == {"Retry-After": "1"}
    assert errors.error_headers(tree.QueueFull("x", retry_after=0)) == {"Retry-After": "1"}


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (NotFound(), "Invalid URL (GET /x)", None),
        (MethodNotAllowed(), "Not allowed to GET on /x.", "method_not_supported"),
        (ImATeapot("short and stout"), "short and stout", None),
    ],
)
def test_framework_errors_have_the_same_envelope(
    error: Exception, message: str, code: str | None
) -> None:
    body = json.loads(errors.framework_error_body(error, "GET", "/x"))
    assert body["error"] == {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": code,
    }


def test_a_long_path_is_not_repeated_whole() -> None:
    body = errors.framework_error_body(NotFound(), "GET", "/" + "x" * 10_000)
    assert len(body) < 400
