"""Whom a command asks, and how it ends."""

from __future__ import annotations

import os
import signal

import click
import pytest

from cria.cli.client_options import EXIT_SIGNALS, Key, asked, orderly_end


def test_the_first_of_several_keys() -> None:
    assert Key("KEY").convert("one,two", None, None) == "one"


def test_a_model_or_a_server() -> None:
    with pytest.raises(click.UsageError, match="which server with --url"), asked(None, None, None):
        pass
    with asked("name", "host:1/v1", "k") as target:
        assert (target.root, target.model()) == ("http://host:1", "name")


@pytest.fixture
def handlers() -> object:
    before = [signal.getsignal(number) for number in EXIT_SIGNALS]
    yield before
    for number, handler in zip(EXIT_SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_unwind(handlers: object, number: signal.Signals) -> None:
    unwound = []
    with pytest.raises(SystemExit) as ended, orderly_end():
        try:
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 5)
        finally:
            unwound.append(number)
    assert (ended.value.code, unwound) == (128 + number, [number])
