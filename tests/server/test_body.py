"""Limits of the body, and what becomes of fields that nobody knows."""

from __future__ import annotations

import io

import pytest
from flask import Flask, Request, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from cria.api.completions import CompletionRequest
from cria.api.decoding import RequestBody
from cria.config import ServerConfig
from cria.errors import RequestError
from cria.server import body

BODY = b'{"model":"m","prompt":"p"}'


def make_request(data: bytes, **environ: object) -> Request:
    return Request(
        {
            "REQUEST_METHOD": "POST",
            "wsgi.input": io.BytesIO(data),
            "wsgi.input_terminated": True,
            "wsgi.url_scheme": "http",
            "SERVER_NAME": "test",
            "SERVER_PORT": "80",
            **environ,
        }
    )


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert body.read_body(make_request(b"12345"), 5) == b"12345"


@pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": "6"}])
def test_one_byte_more_is_too_large(environ: dict[str, str]) -> None:
    with pytest.raises(RequestEntityTooLarge):
        body.read_body(make_request(b"123456", **environ), 5)


def test_a_declared_length_is_believed_before_anything_is_read() -> None:
    request = make_request(b"", CONTENT_LENGTH="6")
    with pytest.raises(RequestEntityTooLarge):
        body.read_body(request, 5)


def test_a_broken_upload_is_a_request_error() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("chunk without an end")

    with pytest.raises(RequestError, match="malformed"):
        body.read_body(make_request(b"", **{"wsgi.input": Broken()}), 5)


def read(data: bytes, config: ServerConfig, **headers: str) -> tuple[str, ...]:
    """The warnings of a body."""
    with Flask("test").test_request_context(method="POST", data=data, headers=headers):
        body.read_request(request, CompletionRequest, config)
        warnings: tuple[str, ...] = g.cria_warnings
        return warnings


def test_unknown_fields_are_warnings() -> None:
    assert read(b'{"model":"m","prompt":"p","foo":1}', ServerConfig()) == ("foo",)
    assert read(BODY, ServerConfig()) == ()


@pytest.mark.parametrize(
    ("config", "headers"),
    [(ServerConfig(strict=True), {}), (ServerConfig(), {"x-cria-strict": "1"})],
)
def test_strict_mode_refuses_them(config: ServerConfig, headers: dict[str, str]) -> None:
    with pytest.raises(RequestError) as caught:
        read(b'{"model":"m","prompt":"p","foo":1}', config, **headers)
    assert (caught.value.param, caught.value.code) == ("foo", "unknown_parameter")


def test_strict_mode_lets_hints_pass() -> None:
    assert read(b'{"model":"m","prompt":"p","user":"u"}', ServerConfig(strict=True)) == ("user",)


def test_strict_mode_looks_closer_at_what_a_request_says() -> None:
    class Picky(RequestBody):
        def check_strictly(self) -> None:
            raise RequestError("not like this", param="x")

    def read_picky(strict: bool) -> Picky:
        with Flask("test").test_request_context(method="POST", data=b"{}"):
            return body.read_request(request, Picky, ServerConfig(strict=strict))

    read_picky(strict=False)
    with pytest.raises(RequestError, match="not like this"):
        read_picky(strict=True)


def test_strict_mode_wants_stream_options_only_with_stream() -> None:
    data = b'{"model":"m","prompt":"p","stream_options":{"include_usage":true}}'
    with pytest.raises(RequestError) as caught:
        read(data, ServerConfig(strict=True))
    assert caught.value.param == "stream_options"


def test_the_header_holds_only_safe_characters() -> None:
    assert body.warnings_header(("a.b[0]", "x\r\ny: z")) == "a.b[0], x??y??z"


def test_the_header_does_not_grow_without_bound() -> None:
    assert len(body.warnings_header(("x" * 100,) * 100)) <= body.MAX_WARNINGS_LENGTH + 3
