"""Who may ask: bearer keys.

1. Checked before the route, the method and the body are looked at, so that a stranger learns
   nothing about what is served here.
2. Every path needs a key, but for those that are listed here.
3. Without configured keys anybody may ask, whatever key they send.
"""

from __future__ import annotations

from collections.abc import Iterable

from flask import g
from werkzeug.datastructures import Headers

from cria.access_key import AccessKey
from cria.errors import AuthenticationFailed, ModelNotFound
from cria.server.key_ring import KeyRing

OPEN_PATHS = frozenset(
    prefix + path for prefix in ("", "/v1") for path in ("/health", "/livez", "/readyz")
)
ABOUT_THE_MODEL = frozenset(
    {
        *("/props", "/slots", "/tokenizer_info", "/tokenize", "/detokenize", "/apply-template"),
        *("/responses/input_tokens", "/chat/completions/input_tokens"),
    }
)

_MISSING = (
    "You didn't provide an API key. You need to provide it in an Authorization header using "
    "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)
_WRONG = "Incorrect API key provided."


def check_key(headers: Headers, ring: KeyRing) -> AccessKey | None:
    """The caller's key; None if nobody needs one. AuthenticationFailed says no more than that."""
    if not ring.is_needed:
        return None
    given = sent_key(headers)
    if not given:
        raise AuthenticationFailed(_MISSING)
    key = ring.find(given)
    if key is None:
        raise AuthenticationFailed(_WRONG, code="invalid_api_key")
    return key


def sent_key(headers: Headers) -> str:
    """The key of `Authorization: Bearer`, or of the headers that other clients use."""
    given = headers.get_all("Authorization")
    if len(given) > 1 or any("," in value for value in given):
        raise AuthenticationFailed(_WRONG, code="invalid_api_key")
    scheme, _, token = (given[0] if given else "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("api-key") or headers.get("x-api-key") or ""


def current_key() -> AccessKey | None:
    """Of the request that is being answered."""
    key: AccessKey | None = g.get("cria_key")
    return key


def current_owner() -> str:
    """Who stores and reads: callers with one key are one; without keys all are the same."""
    key = current_key()
    return "" if key is None else key.sha256


def check_model(model: str | None) -> None:
    """ModelNotFound for what the caller's key must not name, as for what is not there."""
    key = current_key()
    if key is not None and model is not None and not key.may_use(model):
        raise ModelNotFound(model)


def may_use_any(models: Iterable[str]) -> None:
    """ModelNotFound if the caller's key may name none of them: for what asks without a name."""
    key, known = current_key(), list(models)
    if key is not None and not any(map(key.may_use, known)):
        raise ModelNotFound(known[0])


def names_no_model(path: str) -> bool:
    """Whether requests to the path need not say which model they mean."""
    return path.rstrip("/").removeprefix("/v1") in ABOUT_THE_MODEL


def is_open(path: str) -> bool:
    """Whether the path answers without a key, so that health checks need none."""
    return path.rstrip("/") in OPEN_PATHS
