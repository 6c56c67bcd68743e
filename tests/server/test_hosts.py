from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from cria.config import ServerConfig
from cria.errors import AccessDenied
from cria.server import hosts

LOCAL = ServerConfig()


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:3000", "127.1.2.3", "[::1]:8000"],
)
def test_names_of_this_machine(host: str) -> None:
    hosts.check_host(Headers({"Host": host}), LOCAL)


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "127.0.0.1.evil.com",
        "localhost.evil.com",
        "evil.com:3000",
        "10.0.0.1",
        "0.0.0.0",
        "[::2]",
        "",
        "local\x1bhost",
    ],
)
def test_other_names(host: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        hosts.check_host(Headers({"Host": host}), LOCAL)
    assert caught.value.code == "host_not_allowed" and "\x1b" not in str(caught.value)


def test_health_checks_may_name_no_host() -> None:
    hosts.check_host(Headers(), LOCAL)
    with pytest.raises(AccessDenied):
        hosts.check_host(Headers({"Host": ""}), LOCAL)


def test_names_that_the_operator_allows() -> None:
    config = ServerConfig(allowed_hosts=("Example.com",))
    hosts.check_host(Headers({"Host": "example.com:80"}), config)
    hosts.check_host(Headers({"Host": "localhost"}), config)
    with pytest.raises(AccessDenied):
        hosts.check_host(Headers({"Host": "evil.com"}), config)


def test_beyond_loopback_any_name_will_do_unless_some_are_allowed() -> None:
    config = ServerConfig(host="0.0.0.0")
    hosts.check_host(Headers({"Host": "anything"}), config)
    with pytest.raises(AccessDenied):
        listed = ServerConfig(host="0.0.0.0", allowed_hosts=("a",))
        hosts.check_host(Headers({"Host": "anything"}), listed)


@pytest.mark.parametrize("origin", [None, "http://localhost:3000"])
def test_own_pages_and_programs_may_ask(origin: str | None) -> None:
    headers = Headers({"Host": "localhost:3000"})
    if origin is not None:
        headers["Origin"] = origin
    hosts.check_origin("POST", headers, LOCAL)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:3001", "", "http://[", "http://a]b"],
)
def test_foreign_pages_may_not(origin: str) -> None:
    headers = Headers({"Host": "localhost:3000", "Origin": origin})
    with pytest.raises(AccessDenied):
        hosts.check_origin("POST", headers, LOCAL)
    assert hosts.cors_headers(headers, LOCAL) == {}


def test_a_form_of_another_site_that_hides_its_origin() -> None:
    headers = Headers({"Host": "localhost:3000", "Sec-Fetch-Site": "cross-site"})
    with pytest.raises(AccessDenied):
        hosts.check_origin("POST", headers, LOCAL)
    hosts.check_origin("GET", headers, LOCAL)  # somebody follows a link


def test_listed_origins() -> None:
    config = ServerConfig(cors_origins=("https://a.org",))
    headers = Headers({"Host": "localhost", "Origin": "https://a.org"})
    hosts.check_origin("POST", headers, config)
    found = hosts.cors_headers(headers, config)
    assert found["Access-Control-Allow-Origin"] == "https://a.org" and found["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in found
    with pytest.raises(AccessDenied):
        hosts.check_origin("POST", Headers({"Origin": "https://b.org"}), config)


def test_all_origins() -> None:
    config = ServerConfig(cors_origins=("*",))
    headers = Headers({"Origin": "null"})
    hosts.check_origin("POST", headers, config)
    assert hosts.cors_headers(headers, config)["Access-Control-Allow-Origin"] == "*"
    assert hosts.cors_headers(Headers(), config) == {}


def test_the_question_before() -> None:
    config = ServerConfig(cors_origins=("https://a.org",))
    asked = {"Origin": "https://a.org", "Access-Control-Request-Method": "POST"}
    names = {"Access-Control-Request-Headers": "authorization,content-type"}
    answer = hosts.preflight_headers("OPTIONS", Headers({**asked, **names}), config)
    assert answer["Access-Control-Allow-Headers"] == "authorization,content-type"
    odd = Headers({**asked, "Access-Control-Request-Headers": "a;b"})
    assert hosts.preflight_headers("OPTIONS", odd, config)["Access-Control-Allow-Headers"] == ""
    assert hosts.preflight_headers("POST", Headers(asked), config) == {}
    assert hosts.preflight_headers("OPTIONS", Headers(), config) == {}
    assert hosts.preflight_headers("OPTIONS", Headers(asked), LOCAL) == {}
