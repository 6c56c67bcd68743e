"""`AccessKey`: what a caller's key lets its holder do. The key itself is nowhere: only its hash."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
"""What a key may be called."""


class AccessKey(msgspec.Struct, frozen=True):
    """One key; None means: no limit of this kind."""

    sha256: str
    """Of the key, in hexadecimal digits."""
    name: str = ""
    """For logs and limits; callers with the same name are one caller."""
    expires: float | None = None
    """Seconds since 1970."""
    models: tuple[str, ...] = ()
    """Ids that it may name; empty: all."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Of prompts and answers together."""
    max_concurrent: int | None = None
    """Requests at the same time."""

    def may_use(self, model: str) -> bool:
        """Whether a request with this key may name the model."""
        return not self.models or model in self.models


def hashed(secret: str, **limits: Any) -> AccessKey:
    """What is kept of a key."""
    return AccessKey(digest_of(secret), **limits)


def digest_of(secret: str) -> str:
    """SHA-256, in hexadecimal digits: enough for keys that nobody can guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
