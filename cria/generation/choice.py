"""`ChoiceState`: one generation of a run, its sequence and how far its answer is."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator, Mapping

from cria.api.events import CallDelta, CallStarted, ChoiceDelta, Event, ReasoningDelta
from cria.api.logprobs import ScoredToken
from cria.api.timings import Timings
from cria.formats.pieces import Piece, PieceKind
from cria.generation.answer_tokens import AnswerTokens, Display
from cria.generation.echo import PromptEcho
from cria.ipc.messages import SequenceOutput
from cria.output.parsed import ParsedOutput
from cria.output.processor import OutputProcessor

Output = OutputProcessor | ParsedOutput
"""From token ids to text; only the second tells text, thinking and calls apart."""

_ID_CHARACTERS = string.ascii_letters + string.digits


class ChoiceState:
    """Of the choice with this index."""

    def __init__(
        self,
        index: int,
        output: Output,
        prompt: list[int],
        display: Display,
        echo: PromptEcho | None,
        *,
        is_first: bool,
    ) -> None:
        self.index = index
        self.output = output
        self.prompt = prompt
        self.echo = echo
        """The prompt, as long as it is still to be shown."""
        self.is_first = is_first
        """Of its prompt: it scores that, and what the others find in the cache is its work."""
        self.waiting: list[SequenceOutput] = []
        """What has come while the prompt, which is shown first, is still being scored."""
        self.num_echoed = echo.num_tokens if echo else 0
        self.tokens = (
            AnswerTokens(display.texts, output, len(display.prompt_text)) if display.texts else None
        )
        self.request_id = -1
        self.num_tokens = self.num_shifts = 0
        self.num_calls = 0
        self.kinds: Mapping[str, str] = {}
        """Of the tools that are no functions, by name."""
        self.is_timed = self.is_stopping = False
        """Stopping: its text is complete, and its last output still to come, with its timings."""
        self.timings: Timings | None = None
        self.token_ids: list[int] | None = None
        """Those that no event has told yet, if they are to be told."""
        self.done = False

    @property
    def num_reasoning_tokens(self) -> int:
        """Generated while the model was thinking, as far as that is told from the answer."""
        return self.output.num_reasoning_tokens

    def count(self, output: SequenceOutput) -> None:
        """What the sequence says beside its text."""
        self.num_tokens += len(output.token_ids)
        self.num_shifts = max(self.num_shifts, output.num_shifts)
        if self.echo is not None:
            self.echo.add(output.prompt_logprobs)
        if self.token_ids is not None:
            self.token_ids += output.token_ids

    def feed(self, output: SequenceOutput, *, is_last: bool) -> list[Piece]:
        """What is released by what the engine sent."""
        begin = self.output.num_decoded
        pieces = _pieces(self.output.feed(output.token_ids))
        if self.tokens is not None:
            self.tokens.add(output.token_ids, output.logprobs, begin)
        if is_last:
            pieces = _joined([*pieces, *_pieces(self.output.flush())])
        return pieces

    def tell(self, pieces: list[Piece], *, is_final: bool) -> Iterator[Event]:
        """The events of these pieces; tokens and ids ride on the first one."""
        tokens = self.tokens.take(is_final=is_final) if self.tokens else ()
        if not pieces and tokens:
            pieces = [Piece(PieceKind.CONTENT)]
        for piece in pieces:
            if piece.kind is not PieceKind.CALL_END or tokens:
                yield self._event(piece, tokens, self.take_token_ids())
                tokens = ()

    def take_token_ids(self) -> tuple[int, ...] | None:
        """Each of them once."""
        if self.token_ids is None:
            return None
        taken, self.token_ids = tuple(self.token_ids), []
        return taken

    def finish_reason(self, reason: str) -> str:
        """An answer that holds calls and was not cut waits for their results."""
        return "tool_calls" if self.num_calls and reason == "stop" else reason

    def _event(
        self, piece: Piece, tokens: tuple[ScoredToken, ...], token_ids: tuple[int, ...] | None
    ) -> Event:
        kind, text = piece
        if kind is PieceKind.CONTENT:
            return ChoiceDelta(self.index, text, tokens, token_ids)
        if kind is PieceKind.REASONING:
            return ReasoningDelta(self.index, text, tokens, token_ids)
        if kind is PieceKind.CALL:
            self.num_calls += 1
            tool = self.kinds.get(text, "function")
            number = self.num_calls - 1
            return CallStarted(self.index, number, new_call_id(), text, tool, tokens, token_ids)
        # Also the end of a call, which says nothing, if it has tokens to show.
        return CallDelta(self.index, self.num_calls - 1, text, tokens, token_ids)


def new_call_id() -> str:
    """Unique, as OpenAI writes it."""
    return "call_" + "".join(secrets.choice(_ID_CHARACTERS) for _ in range(24))


def _pieces(released: str | list[Piece]) -> list[Piece]:
    if isinstance(released, list):
        return released
    return [Piece(PieceKind.CONTENT, released)] if released else []


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The same where text that belongs together is one piece."""
    found: list[Piece] = []
    for piece in pieces:
        if found and piece.kind is found[-1].kind and piece.kind is not PieceKind.CALL:
            piece = Piece(piece.kind, found.pop().text + piece.text)
        found.append(piece)
    return found
