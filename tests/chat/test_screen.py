"""What a model writes is shown and nothing more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.chat.screen import Screen, harmless


@given(st.text())
def test_nothing_acts_on_a_terminal(text: str) -> None:
    shown = harmless(text)
    assert not any(ord(c) < 32 and c not in "\n\t" or 0x7F <= ord(c) < 0xA0 for c in shown)


def test_text_stays() -> None:
    assert harmless("a\tü\n\xa0👩‍👩‍👧 [31m") == "a\tü\n\xa0👩‍👩‍👧 [31m"
    assert harmless("\x1b[31m\x9b1m\u202e") == "\\x1b[31m\\x9b1m\\u202e"


def test_thinking_is_for_terminals(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    screen = Screen()
    screen.thinking("hm")
    screen.answer("Yes.")
    screen.note("a note")
    assert capfdbinary.readouterr() == (b"Yes.\n", b"a note\n")


@pytest.mark.parametrize(
    ("no_colour", "shown"),
    [("", b"\x1b[2mhm\x1b[0m\nYes.\n"), ("1", b"(thinking) hm\nYes.\n")],
)
def test_thinking_is_dim(
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    no_colour: str,
    shown: bytes,
) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    screen = Screen()
    screen.thinking("hm")
    screen.answer("Yes.")
    screen.end()
    assert capfdbinary.readouterr().out == shown
