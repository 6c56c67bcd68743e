"""Keys, as functions; the order of the checks is tested with the application."""

from __future__ import annotations

import pytest
from flask import Flask, g
from werkzeug.datastructures import Headers

from cria.access_key import AccessKey, hashed
from cria.config import ServerConfig
from cria.errors import AuthenticationFailed, ModelNotFound
from cria.server import auth
from cria.server.key_ring import KeyRing

KEYS = hashed("first"), hashed("second")
RING = KeyRing(ServerConfig(keys=KEYS))


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
    assert auth.check_key(Headers(headers), RING) in KEYS


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([], None),
        ([("Authorization", "Bearer ")], None),
        ([("Authorization", "Basic first")], None),
        ([("Authorization", "Bearer third")], "invalid_api_key"),
        ([("Authorization", "Bearer firs")], "invalid_api_key"),
        ([("Authorization", "Bearer " + "x" * 1_000_000)], "invalid_api_key"),
        ([("Authorization", "Bearer first\0")], "invalid_api_key"),
        ([("Authorization", "Bearer first"), ("Authorization", "Bearer x")], "invalid_api_key"),
        ([("Authorization", "Bearer first,Bearer x")], "invalid_api_key"),
        ([("x-api-key", "first\xe9")], "invalid_api_key"),
        ([("x-api-key", "first\udce9")], "invalid_api_key"),
    ],
)
def test_others_are_refused(headers: list[tuple[str, str]], code: str | None) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        auth.check_key(Headers(headers), RING)
    assert caught.value.code == code


def test_the_refusal_does_not_repeat_the_key() -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        auth.check_key(Headers({"x-api-key": "almost"}), RING)
    assert "almost" not in str(caught.value)


def test_without_keys_any_key_will_do() -> None:
    nobody = KeyRing(ServerConfig())
    assert auth.check_key(Headers({"Authorization": "Bearer none"}), nobody) is None
    assert auth.check_key(Headers(), nobody) is None


def test_who_asks_and_for_what() -> None:
    with Flask("x").test_request_context():
        assert auth.current_key() is None and auth.current_owner() == ""
        auth.check_model("any")
        g.cria_key = AccessKey("5" * 64, models=("mine",))
        assert auth.current_owner() == "5" * 64
        auth.check_model("mine")
        auth.check_model(None)
        with pytest.raises(ModelNotFound):
            auth.check_model("other")


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/v1/health/"])
def test_health_is_open(path: str) -> None:
    assert auth.is_open(path)


@pytest.mark.parametrize("path", ["/v1/models", "/health/../v1/models", "/", "/v1/healthy"])
def test_nothing_else_is_open(path: str) -> None:
    assert not auth.is_open(path)
