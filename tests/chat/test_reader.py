"""Lines to messages; the terminal's part is in `test_loop`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cria.chat.reader import Reader, history_file


@pytest.mark.parametrize(
    ("typed", "messages"),
    [
        ("one\ntwo\n", ["one", "two"]),
        ("one\\\ntwo\nthree\n", ["one\ntwo", "three"]),
        ('"""\na\n\nb\n"""\nc\n', ["a\n\nb", "c"]),
        ('"""a\nb"""\n', ["a\nb"]),
        ('"""a"""\n', ["a"]),
        ("/set a 1\n", ["/set a 1"]),
        ('"""\nno end\n', []),
    ],
)
def test_messages(monkeypatch: pytest.MonkeyPatch, typed: str, messages: list[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    reader = Reader()
    read = []
    with pytest.raises(EOFError):
        while True:
            read.append(reader.read())
    reader.close()
    assert read == messages


def test_where_the_history_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert history_file() == Path("/state/cria/chat_history")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert history_file() == Path.home() / ".local/state/cria/chat_history"
