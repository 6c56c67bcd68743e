"""`Session`: questions to a model and its answers, one after another, until the user leaves.

Whatever goes wrong with a question is a sentence, and the chat goes on: a question without any
answer is not kept in the conversation, and `/retry` asks it again.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from cria.chat.conversation import Conversation
from cria.chat.screen import Screen
from cria.client.api import Refused, Unreachable, Usage
from cria.client.target import Target
from cria.errors import SetupError

PATH = "/v1/chat/completions"


class Stats(msgspec.Struct):
    """Of one answer; seconds are from its first text to its last."""

    num_pieces: int = 0
    usage: Usage | None = None
    wait: float = 0.0
    seconds: float = 0.0

    def describe(self) -> str:
        """One line."""
        prompt = "?" if self.usage is None else str(self.usage.prompt_tokens)
        answer = f"about {self.num_pieces}" if self.usage is None else str(self.num_tokens)
        rate = f", {(self.num_tokens - 1) / self.seconds:.1f} a second" if self.seconds else ""
        return f"{prompt} tokens asked, {answer} answered{rate}; first after {self.wait:.2f} s"

    @property
    def num_tokens(self) -> int:
        """Those of the answer; a piece is about one."""
        return self.num_pieces if self.usage is None else self.usage.completion_tokens


class Session:
    """One chat."""

    def __init__(self, target: Target, screen: Screen, system: str | None) -> None:
        self.target, self.screen = target, screen
        self.conversation = Conversation(system)
        self.fields: dict[str, Any] = {}
        """What requests have beside the messages."""
        self.question: str | None = None
        """The last one."""
        self.stats: Stats | None = None
        self.total_tokens = 0

    def ask(self, question: str) -> None:
        """Show the answer as it comes, and keep it; a Ctrl-C ends it."""
        self.question = question
        text: list[str] = []
        try:
            self._show(question, text)
        except KeyboardInterrupt:
            self.screen.note("(stopped)")
        except SetupError as error:
            self.screen.note(self._explained(error, bool(text)))
        finally:
            self.screen.end()
            self.total_tokens += self.stats.num_tokens if self.stats else 0
            if text:
                self.conversation.add(question, "".join(text))

    def _show(self, question: str, text: list[str]) -> None:
        body = {**self.fields, "messages": self.conversation.asking(question)}
        self.stats = stats = Stats()
        started = time.monotonic()
        first = last = 0.0
        for piece in self.target.answer(PATH, body, self.screen.note):
            last = time.monotonic()
            self.screen.thinking(piece.thinking)
            if piece.text:
                text.append(piece.text)  # first: a Ctrl-C may come as soon as it is seen
                self.screen.answer(piece.text)
            if piece.text or piece.thinking:
                first = first or last
                stats.num_pieces += 1
                stats.wait, stats.seconds = first - started, last - first
            stats.usage = piece.usage or stats.usage

    def _explained(self, error: SetupError, is_partial: bool) -> str:
        if isinstance(error, Refused) and "context" in str(error):
            return f"{error} /undo or /clear makes room."
        if isinstance(error, Unreachable):
            kept = "What came is kept; " if is_partial else ""
            return f"{error} {kept}/retry asks again."
        return str(error)
