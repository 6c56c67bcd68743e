"""URLs in all their spellings, without what is secret in them."""

from __future__ import annotations

import pytest

from cria.client.address import headers_for, root_of
from cria.errors import SetupError


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://127.0.0.1:3000/v1/", "http://127.0.0.1:3000"),
        ("http://host/v1", "http://host"),
        ("host:80", "http://host:80"),
        ("localhost", "http://localhost"),
        ("https://user:secret@host/proxy/v1?key=secret#x", "https://host/proxy"),
        ("http://[::1]:5/", "http://[::1]:5"),
    ],
)
def test_the_root(url: str, root: str) -> None:
    assert root_of(url) == root


@pytest.mark.parametrize("url", ["", "ftp://host", "http://", "http://host:99999", "http://[", "/"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(SetupError, match="is not the URL of a server"):
        root_of(url)


def test_headers() -> None:
    assert headers_for("k") == {"Authorization": "Bearer k"}
    assert headers_for(None) == {}
