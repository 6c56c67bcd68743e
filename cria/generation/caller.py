"""`Caller`: who asks, as far as limits and fairness go, and what it may."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from cria.access_key import AccessKey
from cria.config import ServerConfig


class Caller(NamedTuple):
    """None means: no limit of this kind."""

    id: int = 0
    """0 for all whom no key tells apart, else above 0."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent: int | None = None
    """Requests at the same time."""
    is_patient: bool = False
    """It may wait as long as it takes: nobody holds a connection open for it."""
    models: tuple[str, ...] = ()
    """Ids that it may name; empty: all."""

    @property
    def is_limited(self) -> bool:
        """Whether it may not ask as it likes."""
        limits = (self.requests_per_minute, self.tokens_per_minute, self.max_concurrent)
        return any(limit is not None for limit in limits)


def caller_of(key: AccessKey | None, config: ServerConfig) -> Caller:
    """The holder of a key, with the server's limits where the key has none of its own."""
    requests, tokens = config.rate_limit_requests, config.rate_limit_tokens
    if key is None:
        return Caller(0, requests, tokens)
    own_requests, own_tokens = key.requests_per_minute, key.tokens_per_minute
    return Caller(
        _number_of(key.name or key.sha256),
        requests if own_requests is None else own_requests,
        tokens if own_tokens is None else own_tokens,
        key.max_concurrent,
        models=key.models,
    )


ANYBODY = Caller()

current_caller: ContextVar[Caller] = ContextVar("current_caller", default=ANYBODY)
"""Of the request that is being answered."""


@contextmanager
def patiently(*, is_patient: bool) -> Iterator[None]:
    """Whether the caller of what is asked for in this block is patient."""
    caller = current_caller.get()
    token = current_caller.set(caller._replace(is_patient=is_patient))
    try:
        yield
    finally:
        current_caller.reset(token)


def _number_of(name: str) -> int:
    """The same in every process and after a restart; fits into 63 bits."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 1) or 1
