"""The check itself finds what it is there to find."""

from __future__ import annotations

import psutil
import pytest

from tests.faults.same_state import (
    ProcessState,
    ServerState,
    differences,
    find_engine,
    is_quiet,
    observe,
    same_state,
    wait_until_quiet,
)
from tests.real_server import RealServer

BEFORE = ServerState(ProcessState(1, 10, 9), ProcessState(2, 8, 4), frozenset({2}))
NEW_ENGINE = ServerState(BEFORE.server, ProcessState(3, 8, 4), frozenset({3}))


def test_the_same_is_no_difference() -> None:
    assert differences(BEFORE, BEFORE) == {}
    assert differences(BEFORE, NEW_ENGINE, new_engine=True) == {}


@pytest.mark.parametrize(
    ("after", "name"),
    [
        (NEW_ENGINE, "engine"),
        (BEFORE._replace(children=frozenset({2, 4})), "children"),
        (BEFORE._replace(server=ProcessState(1, 11, 9)), "server's descriptors"),
        (BEFORE._replace(engine=ProcessState(2, 0, 0)), "engine's descriptors"),
        (BEFORE._replace(server=ProcessState(1, 10, 500)), "server's threads"),
    ],
)
def test_what_differs_is_named(after: ServerState, name: str) -> None:
    assert name in differences(BEFORE, after)


def test_an_engine_that_should_have_died_is_a_difference() -> None:
    assert "engine" in differences(BEFORE, BEFORE, new_engine=True)


def test_cells_in_use_are_not_quiet() -> None:
    quiet = {"running": 0, "waiting": 0, "used_cells": 0, "cached_cells": 9}
    assert is_quiet(quiet)
    assert not is_quiet({**quiet, "used_cells": 1})
    assert not is_quiet(None)


@pytest.mark.integration
@pytest.mark.fault
def test_requests_leave_a_real_server_as_it_was_and_the_engines_end_does_not(
    tiny_server: RealServer,
) -> None:
    with same_state(tiny_server):
        answer = tiny_server.post(
            "/v1/completions", {"model": "tiny", "prompt": "hello", "max_tokens": 5}
        )
        assert answer.status_code == 200
    with same_state(tiny_server, new_engine=True):
        engine = find_engine(psutil.Process(tiny_server.process.pid))
        assert engine is not None
        engine.kill()
    wait_until_quiet(tiny_server)
    state = observe(tiny_server)
    assert state.server.num_descriptors and state.engine.num_descriptors
