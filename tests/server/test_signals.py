"""What is called at SIGHUP and SIGUSR1; the signals themselves are tried in tests/faults."""

from __future__ import annotations

import pytest

from cria.server import signals


def test_who_asked_is_called_at_each_hangup() -> None:
    calls: list[str] = []
    end = signals.on_hangup(lambda: calls.append("a"))
    signals.hang_up()
    signals.hang_up()
    end()
    signals.hang_up()
    assert calls == ["a", "a"]


def test_one_failure_is_no_other_callbacks(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []
    ends = [signals.on_hangup(lambda: 1 / 0), signals.on_hangup(lambda: calls.append("b"))]  # type: ignore[arg-type,return-value]
    signals.hang_up()
    for end in ends:
        end()
    assert calls == ["b"]
    assert "ZeroDivisionError" in caplog.text


def test_the_stacks_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    signals.dump_stacks()
    assert "test_the_stacks_go_to_the_log" in caplog.text
