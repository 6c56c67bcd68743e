"""A server's URL: checked, without secrets, and as a connection."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from cria.errors import SetupError


def root_of(url: str) -> str:
    """Scheme, host, port and path of the API's root; without `/v1`, user names and queries."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise SetupError(f"{url!r} is not the URL of a server: {error}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(f"{url!r} is not the URL of a server, such as http://127.0.0.1:3000.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{path}"


def connect(root: str, timeout: float) -> http.client.HTTPConnection:
    """Not yet open; `timeout` is in seconds, for each wait."""
    parts = urlsplit(root)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    # Not None, for which http.client would look for a port in an IPv6 address.
    return kind(parts.hostname or "", parts.port or (443 if secure else 80), timeout=timeout)


def path_of(root: str, path: str) -> str:
    return urlsplit(root).path + path


def headers_for(api_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}
