"""A server's URL, checked and without secrets, and the headers that name the caller."""

from __future__ import annotations

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


def headers_for(api_key: str | None) -> dict[str, str]:
    """Empty if the server asks for no key."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}
