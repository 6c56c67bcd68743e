"""Connections by a root, and paths beneath it."""

from __future__ import annotations

import http.client

from cria.bench.connection import connect, path_of


def test_a_connection() -> None:
    plain, secure = connect("http://[::1]", 3.0), connect("https://host:5/x", 3.0)
    assert (plain.host, plain.port, plain.timeout) == ("::1", 80, 3.0)
    assert isinstance(secure, http.client.HTTPSConnection)
    assert (secure.host, secure.port) == ("host", 5)


def test_a_path() -> None:
    assert path_of("https://host:5/x", "/v1/models") == "/x/v1/models"
