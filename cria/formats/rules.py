"""`Rules`: a grammar in the making, in llguidance's dialect of Lark."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from cria.constraint.sources import MAX_SOURCE_BYTES, GrammarError, combine
from cria.formats.special import Special, SpecialTexts
from cria.formats.text_pattern import ANY, SOME, is_open, may_be_empty

BLANKS = r"[ \t\r\n]{1,8}"


class Rules:
    """Rules with names of their own, and grammars that they refer to.

    GrammarError if they become more than could be compiled.
    """

    def __init__(self, special: SpecialTexts) -> None:
        self._special = special
        self._lines: list[str] = []
        self._named: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        self._num_characters = 0

    def add(self, body: str, options: str = "") -> str:
        """The name of a rule; equal ones are one."""
        return self._add("r", f"{options}: {body}")

    def terminal(self, body: str) -> str:
        """The name of a terminal: what it matches is looked at as a whole."""
        return self._add("T", f": {body}")

    def grammar(self, source: str) -> str:
        """A reference to another grammar."""
        if source not in self._numbers:
            self._count(source)
            self._numbers[source] = f"g{len(self._numbers)}"
            self._named[self._numbers[source]] = source
        return "@" + self._numbers[source]

    def literal(self, text: str) -> str:
        """Exactly this text, with its control tokens; nothing for no text."""
        parts = self._special.split(text)
        return " ".join(f"<[{p.token_id}]>" if isinstance(p, Special) else quoted(p) for p in parts)

    def beginning(self, text: str) -> str:
        """This text, and perhaps a few blanks before it.

        As far as it is plain it is one with them: other text that begins with blanks must not be
        the only one that the answer can still be.
        """
        parts = self._special.split(text)
        if not parts or isinstance(parts[0], Special):
            return f"{self.blanks()} {self.literal(text)}"
        first = self.terminal(regex(f"(?:{BLANKS})?{re_escape(parts[0])}"))
        return f"{first} {self.literal(text[len(parts[0]) :])}"

    def until(self, close: str, *choices: Sequence[str]) -> str:
        """Some text and then this one, at its first occurrence.

        The text matches all the patterns of one of the choices.
        """
        if not choices or (ANY,) in choices:
            choices = ((ANY,),)
        parts = self._special.split(close)
        if not parts or isinstance(parts[0], Special):
            optional = "?" if may_be_empty(choices) else ""
            return f"{self._matching(choices)}{optional} {self.literal(close)}"
        mark, rest = parts[0].lstrip() or parts[0], close[len(parts[0]) :]
        # Of free text the blanks before it may be missing: what reads the answer minds the mark
        # alone. Other text can do without the mark, and must not lose a blank of its own.
        is_free = all(map(is_open, choices))
        blanks = re_escape(parts[0].removesuffix(mark))
        blanks = f"(?:{blanks})?" if blanks and is_free else blanks
        text = self._matching(choices, blanks + re_escape(mark))
        if rest:  # its control token is not in the text: the one before it is the last
            return f"{text} {self.literal(rest)}"
        if not is_free:  # it could match with the mark inside, and not before
            text = self.terminal(f"{text} & ~{regex(ANY + re_escape(mark) + SOME)}")
        return self.add(text, "[lazy]")

    def _matching(self, choices: Iterable[Sequence[str]], end: str = "") -> str:
        """A terminal for text with this behind it."""
        texts = [" & ".join(regex(f"(?:{each}){end}") for each in choice) for choice in choices]
        return self.terminal(" | ".join(f"({text})" for text in texts))

    def split(self, text: str) -> tuple[str | Special, ...]:
        return self._special.split(text)

    def blanks(self) -> str:
        """A few, or none."""
        return self.terminal(regex(BLANKS)) + "?"

    def source(self, start: str) -> str:
        """All of it, beginning with this."""
        return combine("\n".join([f"start: {start}", *self._lines]), self._named)

    def _add(self, prefix: str, line: str) -> str:
        key = prefix + line
        if key not in self._numbers:
            self._count(line)
            self._numbers[key] = f"{prefix}{len(self._numbers)}"
            self._lines.append(self._numbers[key] + line)
        return self._numbers[key]

    def _count(self, text: str) -> None:
        self._num_characters += len(text)
        if self._num_characters > MAX_SOURCE_BYTES:
            raise GrammarError(f"it needs a grammar of more than {MAX_SOURCE_BYTES} bytes")


def quoted(text: str) -> str:
    """A text that is no more than text, in Lark."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def one_of(options: Iterable[str]) -> str:
    """Any of these rules."""
    return "(" + " | ".join(options) + ")"


def regex(pattern: str) -> str:
    """A regular expression in Lark."""
    return "/" + re.sub(r"\\.|/", lambda m: r"\/" if m[0] == "/" else m[0], pattern) + "/"


def re_escape(text: str) -> str:
    """Escaped as far as llguidance knows: letters and blanks stay as they are."""
    return re.sub(r"[\\.+*?()|\[\]{}^$#&~/\-]", r"\\\g<0>", text).replace("\n", r"\n")
