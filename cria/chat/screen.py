"""`Screen`: what a chat shows. A model cannot send anything to the terminal but text.

Answers and prompts go to standard output, everything about them to standard error.
"""

from __future__ import annotations

import os
import re
import sys

DIM, PLAIN = "\x1b[2m", "\x1b[0m"

# Control characters but line ends and tabs, and those that turn the direction of writing.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def harmless(text: str) -> str:
    """Nothing that a terminal would act on, but line ends and tabs; the rest is shown escaped."""
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Screen:
    """Standard output and error; colours only for a terminal that wants them."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()
        dumb = os.environ.get("TERM") == "dumb"
        self._has_colours = self.is_terminal and not os.environ.get("NO_COLOR") and not dumb
        self._thinks = False
        self._at_line_start = True

    def thinking(self, text: str) -> None:
        """Dim, or between marks; only a terminal is shown it."""
        if self.is_terminal and text:
            if not self._thinks:
                self._write(DIM if self._has_colours else "(thinking) ")
            self._thinks = True
            self._text(text)

    def answer(self, text: str) -> None:
        """Some more of it."""
        self._end_thinking()
        self._text(text)

    def end(self) -> None:
        """Of an answer, whole or not: the next thing begins a line."""
        self._end_thinking()
        if not self._at_line_start:
            self._text("\n")

    def line(self, text: str) -> None:
        """What a command asked to see."""
        self._text(text + "\n")

    def note(self, sentence: str) -> None:
        """To the user, not part of the conversation."""
        self.end()
        sys.stderr.write(harmless(sentence) + "\n")
        sys.stderr.flush()

    def _end_thinking(self) -> None:
        if self._thinks:
            self._thinks = False
            self._write(PLAIN if self._has_colours else "")
            if not self._at_line_start:
                self._text("\n")

    def _text(self, text: str) -> None:
        if text:
            self._write(harmless(text))
            self._at_line_start = text.endswith("\n")

    def _write(self, text: str) -> None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
