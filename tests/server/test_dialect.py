from __future__ import annotations

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from cria.server.dialect import is_anthropic_path, speaks_anthropic


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("/v1/messages", True),
        ("/v1/messages/", True),
        ("/messages/count_tokens", True),
        ("/v1/messages/batches", True),
        ("/v1/messages2", False),
        ("/v1/models", False),
        ("/v1/v1/messages", False),
    ],
)
def test_the_path_says_so(path: str, is_one: bool) -> None:
    assert is_anthropic_path(path) is is_one


@pytest.mark.parametrize(
    ("path", "headers", "does"),
    [
        ("/v1/messages", {}, True),
        ("/v1/models", {}, False),
        ("/v1/models", {"Anthropic-Version": "2023-06-01"}, True),
    ],
)
def test_or_the_header(path: str, headers: dict[str, str], does: bool) -> None:
    request = Request(EnvironBuilder(path=path, headers=headers).get_environ())
    assert speaks_anthropic(request) is does
