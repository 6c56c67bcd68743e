"""Answers that need no application."""

from __future__ import annotations

import json

from cria.server.raw_answer import printable, raw_error


def test_it_is_a_whole_answer() -> None:
    head, _, body = raw_error(503, "No.", code="full", retry_after=2).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 2\r\n" in head
    assert head.endswith(b"\r\nConnection: close")
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    error = {"message": "No.", "type": "unavailable_error", "param": None, "code": "full"}
    assert json.loads(body) == {"error": error}


def test_the_status_has_its_code() -> None:
    body = json.loads(raw_error(431, "Large.").partition(b"\r\n\r\n")[2])
    assert body["error"]["code"] == "request_too_large"
    assert body["error"]["type"] == "invalid_request_error"
    assert b"Retry-After" not in raw_error(400, "Bad.")


def test_a_log_line_holds_nothing_that_a_terminal_acts_on() -> None:
    assert printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"
    assert len(printable("x" * 1000)) == 200
