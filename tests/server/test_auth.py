"""Keys and origins, as functions; the order of the checks is tested with the application."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers
from werkzeug.exceptions import Forbidden

from cria.errors import AuthenticationFailed
from cria.server import auth

KEYS = ("first", "second")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer second"},
        {"Authorization": "bearer  first "},
        {"api-key": "first"},
        {"x-api-key": "second"},
        {"Authorization": "Bearer ", "x-api-key": "second"},
    ],
)
def test_any_of_the_keys_in_any_of_the_headers_is_let_in(headers: dict[str, str]) -> None:
    auth.check_key(Headers(headers), KEYS)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Basic first"}, None),
        ({"Authorization": "Bearer third"}, "invalid_api_key"),
        ({"Authorization": "Bearer firs"}, "invalid_api_key"),
        ({"x-api-key": "first\xe9"}, "invalid_api_key"),
    ],
)
def test_others_are_refused(headers: dict[str, str], code: str | None) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        auth.check_key(Headers(headers), KEYS)
    assert caught.value.code == code


def test_the_refusal_does_not_repeat_the_key() -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        auth.check_key(Headers({"x-api-key": "almost"}), KEYS)
    assert "almost" not in str(caught.value)


def test_without_keys_any_key_will_do() -> None:
    auth.check_key(Headers({"Authorization": "Bearer none"}), ())
    auth.check_key(Headers(), ())


@pytest.mark.parametrize("origin", [None, "http://localhost:3000"])
def test_own_pages_and_programs_may_ask(origin: str | None) -> None:
    headers = Headers({"Host": "localhost:3000"})
    if origin is not None:
        headers["Origin"] = origin
    auth.check_origin(headers)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:3001", "", "http://[", "http://a]b"],
)
def test_foreign_pages_may_not(origin: str) -> None:
    with pytest.raises(Forbidden):
        auth.check_origin(Headers({"Host": "localhost:3000", "Origin": origin}))


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/v1/health/"])
def test_health_is_open(path: str) -> None:
    assert auth.is_open(path)


@pytest.mark.parametrize("path", ["/v1/models", "/health/../v1/models", "/", "/v1/healthy"])
def test_nothing_else_is_open(path: str) -> None:
    assert not auth.is_open(path)


def test_callers_with_one_key_are_one_owner() -> None:
    def owner(value: str, *keys: str) -> str:
        return auth.owner_of(Headers({"Authorization": value}), keys)

    assert owner("Bearer a") == owner("Bearer b") == ""
    assert owner("Bearer a", "a", "b") == owner("bearer a", "a") != ""
    assert owner("Bearer a", "a", "b") != owner("Bearer b", "a", "b")
    assert "a" != owner("Bearer a", "a") and len(owner("Bearer a", "a")) == 64
