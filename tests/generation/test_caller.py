"""Who asks, and which limits hold for it."""

from __future__ import annotations

import contextvars

from cria.access_key import AccessKey
from cria.config import ServerConfig
from cria.generation.caller import ANYBODY, Caller, caller_of, current_caller, patiently


def test_without_keys_all_are_one() -> None:
    assert caller_of(None, ServerConfig()) == ANYBODY
    assert not ANYBODY.is_limited
    config = ServerConfig(rate_limit_requests=3, rate_limit_tokens=4)
    assert caller_of(None, config) == Caller(0, 3, 4)


def test_keys_of_one_name_are_one_caller() -> None:
    config = ServerConfig()
    ann, also_ann = AccessKey("00", "ann"), AccessKey("11", "ann")
    assert caller_of(ann, config) == caller_of(also_ann, config)
    assert caller_of(ann, config).id != caller_of(AccessKey("00", "bob"), config).id
    assert caller_of(AccessKey("00"), config).id != caller_of(AccessKey("11"), config).id
    assert 0 < caller_of(ann, config).id < 2**63


def test_a_keys_own_limits_win() -> None:
    config = ServerConfig(rate_limit_requests=3, rate_limit_tokens=4)
    key = AccessKey("00", "ann", requests_per_minute=9, max_concurrent=2)
    caller = caller_of(key, config)
    assert caller[1:] == (9, 4, 2, False, ())
    assert caller.is_limited


def test_patience_ends_with_the_block() -> None:
    before = current_caller.get()
    with patiently(is_patient=True):
        assert current_caller.get() == before._replace(is_patient=True)
    assert current_caller.get() == before


def test_it_is_nobody_until_it_is_set() -> None:
    assert contextvars.Context().run(current_caller.get) is ANYBODY
