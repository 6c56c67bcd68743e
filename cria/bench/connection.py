"""A connection to a server, by the root of its API (`client.address`)."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit


def connect(root: str, timeout: float) -> http.client.HTTPConnection:
    """Not yet open; `timeout` is in seconds, for each wait."""
    parts = urlsplit(root)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    # Not None, for which http.client would look for a port in an IPv6 address.
    return kind(parts.hostname or "", parts.port or (443 if secure else 80), timeout=timeout)


def path_of(root: str, path: str) -> str:
    return urlsplit(root).path + path
