from __future__ import annotations

import threading
import time

import pytest

from cria.prompt import render_limits
from cria.prompt.render_limits import RenderLimit, fits, limited, size_of, take, tick, watched


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_limits, "CPU_SECONDS", 0.05)


def test_time_ends_a_rendering_and_the_next_one_begins_anew(soon: None) -> None:
    for _ in range(2):
        with limited():
            tick()
            burn(0.06)
            with pytest.raises(RenderLimit, match="too long"):
                tick()


def test_waiting_costs_nothing(soon: None) -> None:
    with limited():
        threading.Event().wait(0.1)
        tick()
        burn(0.06)
        with pytest.raises(RenderLimit):
            tick()


def test_outside_there_is_no_limit_of_time(soon: None) -> None:
    burn(0.06)
    tick()
    with limited():
        pass
    burn(0.06)
    tick()


def test_each_thread_has_its_own_time(soon: None) -> None:
    outcomes: list[str] = []

    def other() -> None:
        with limited():
            tick()
            outcomes.append("in time")

    with limited():
        burn(0.06)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert outcomes == ["in time"]


def test_one_text_may_be_so_large_and_all_together_larger() -> None:
    with limited():
        take(render_limits.MAX_CHARACTERS)
        with pytest.raises(RenderLimit, match="too much"):
            take(render_limits.MAX_CHARACTERS + 1)
    with limited(), pytest.raises(RenderLimit):
        for _ in range(render_limits.MAX_TOTAL // render_limits.MAX_CHARACTERS + 1):
            take(render_limits.MAX_CHARACTERS)


def test_outside_there_is_no_limit_of_all_together() -> None:
    for _ in range(2 * render_limits.MAX_TOTAL // render_limits.MAX_CHARACTERS):
        take(render_limits.MAX_CHARACTERS)
    with pytest.raises(RenderLimit):
        take(render_limits.MAX_CHARACTERS + 1)


@pytest.mark.parametrize("value", ["a", 1, None, [1], (1,), "a" * 20_000, {"a": 1}])
def test_what_fits_is_passed_on(value: object) -> None:
    with limited():
        assert fits(value) is value


def test_watched_items_are_the_same(soon: None) -> None:
    assert list(watched([1, 2])) == [1, 2]
    with limited(), pytest.raises(RenderLimit):
        for _ in watched(range(10)):
            burn(0.06)


def test_the_size_is_about_that_of_the_written_text(soon: None) -> None:
    assert size_of("abc") == 3
    assert size_of({"abc": ["de", (1, {2})]}) == 3 + 2 + 8 * 4
    doubled: object = "ab"
    for _ in range(60):
        doubled = [doubled, doubled]
    with limited(), pytest.raises(RenderLimit):
        size_of(doubled)
