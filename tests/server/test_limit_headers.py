"""Who asks is noted before each request; what is left to it is told after."""

from __future__ import annotations

from flask import Flask, g

from cria.access_key import AccessKey
from cria.config import ServerConfig
from cria.generation.admission import Admission, Capacity, Demand
from cria.generation.caller import Caller, current_caller
from cria.server.limit_headers import tell_limits

KEY = AccessKey("00", "ann", requests_per_minute=2)


def make_app(config: ServerConfig, key: AccessKey | None = None) -> tuple[Flask, list[Caller]]:
    app = Flask("test")
    admission = Admission(config)
    callers = []

    @app.before_request
    def check_key() -> tuple[str, int] | None:
        g.cria_key = key
        return ("no", 401) if key is not None and key.name == "stranger" else None

    tell_limits(app, admission, config)

    @app.get("/health")
    def health() -> str:
        return "fine"

    @app.get("/")
    def view() -> str:
        callers.append(current_caller.get())
        admission.enter(callers[-1], Capacity(2, 100), Demand([5], 5)).close(0)
        return "done"

    return app, callers


def test_without_limits_nothing_is_told() -> None:
    app, callers = make_app(ServerConfig())
    answer = app.test_client().get("/")
    assert callers == [Caller()]
    assert not any(name.startswith("x-ratelimit") for name, _ in answer.headers)


def test_what_is_left_is_told_on_every_answer() -> None:
    app, _ = make_app(ServerConfig(), KEY)
    client = app.test_client()
    assert client.get("/").headers["x-ratelimit-remaining-requests"] == "1"
    assert "x-ratelimit-limit-requests" not in client.get("/health").headers, "it needs no key"
    assert client.get("/nowhere").headers["x-ratelimit-remaining-requests"] == "1"
    headers = client.get("/").headers
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    assert "x-ratelimit-limit-tokens" not in headers


def test_the_servers_limits_hold_for_all_without_keys() -> None:
    app, _ = make_app(ServerConfig(rate_limit_tokens=60))
    headers = app.test_client().get("/").headers
    assert headers["x-ratelimit-limit-tokens"] == "60"


def test_a_stranger_hears_nothing() -> None:
    config = ServerConfig(rate_limit_requests=5)
    app, _ = make_app(config, AccessKey("00", "stranger"))
    answer = app.test_client().get("/")
    assert answer.status_code == 401
    assert not any(name.startswith("x-ratelimit") for name, _ in answer.headers)


def test_the_caller_is_forgotten_with_its_request() -> None:
    app, callers = make_app(ServerConfig(), KEY)
    app.test_client().get("/")
    assert callers[-1].id > 0 and current_caller.get() == Caller()
