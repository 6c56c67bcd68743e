"""Who may ask: bearer keys, and no browser page from elsewhere.

1. Checked before the route, the method and the body are looked at, so that a stranger learns
   nothing about what is served here.
2. Keys are compared in constant time, and every key is compared.
3. Without configured keys anybody may ask, whatever key they send.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers
from werkzeug.exceptions import Forbidden

from cria.errors import AuthenticationFailed

OPEN_PATHS = frozenset(
    prefix + path for prefix in ("", "/v1") for path in ("/health", "/livez", "/readyz")
)

_MISSING = (
    "You didn't provide an API key. You need to provide it in an Authorization header using "
    "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)


def check_key(headers: Headers, keys: Sequence[str]) -> None:
    """Raise AuthenticationFailed unless the request carries one of the keys, if there are any."""
    if not keys:
        return
    given = sent_key(headers)
    if not given:
        raise AuthenticationFailed(_MISSING)
    if not is_known_key(given, keys):
        raise AuthenticationFailed("Incorrect API key provided.", code="invalid_api_key")


def sent_key(headers: Headers) -> str:
    """The key of `Authorization: Bearer`, or of the headers that other clients use."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("api-key") or headers.get("x-api-key") or ""


def is_known_key(given: str, keys: Sequence[str]) -> bool:
    """Compare with all keys, so that the time does not tell which one came close."""
    matches = [hmac.compare_digest(given.encode(), key.encode()) for key in keys]
    return any(matches)


def owner_of(headers: Headers, keys: Sequence[str]) -> str:
    """Who stores and reads: callers with one key are one; without keys all are the same."""
    if not keys:
        return ""
    return hashlib.sha256(sent_key(headers).encode()).hexdigest()


def check_origin(headers: Headers) -> None:
    """Refuse a browser page of another site: it would use this server in its visitor's name."""
    origin = headers.get("Origin")
    if origin is not None and host_of(origin) != headers.get("Host", ""):
        raise Forbidden("Requests from web pages of another origin are not allowed.")


def host_of(origin: str) -> str | None:
    """Host and port; None for what is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def is_open(path: str) -> bool:
    """Whether the path answers without a key, so that health checks need none."""
    return path.rstrip("/") in OPEN_PATHS
