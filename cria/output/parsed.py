"""The output stages of an answer that is more than text: token ids, text, pieces.

Stop strings end the text of an answer; they are not looked for in thinking and in tool calls, which
would be broken by them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from cria.formats.pieces import Piece, PieceKind
from cria.output.detokenizer import Detokenizer
from cria.output.stop_strings import StopStrings


class Parser(Protocol):
    """Finds the pieces of one text, which comes in chunks of any size."""

    @property
    def is_thinking(self) -> bool: ...
    def feed(self, text: str) -> list[Piece]: ...
    def flush(self) -> list[Piece]: ...


class ParsedOutput:
    """What the client gets to read of the tokens of one generation, told apart by a parser."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        parser: Parser,
        stops: Sequence[str] = (),
        stop_ids: Collection[int] = (),
        min_tokens: int = 0,
    ) -> None:
        """`pieces` are the bytes of every token, those of the parser's control tokens marked."""
        self._detokenizer = Detokenizer(pieces)
        self._parser = parser
        self._stop_strings = StopStrings(stops)
        self._stop_ids = stop_ids
        self._num_unwatched = min_tokens
        self._has_stop_token = False
        self.num_reasoning_tokens = 0
        """Generated while the model was thinking."""

    @property
    def num_decoded(self) -> int:
        """Characters that are complete, those of marks included."""
        return self._detokenizer.num_characters

    @property
    def num_released(self) -> int:
        """The same: a token is shown when its characters are known, whatever they are part of."""
        return self._detokenizer.num_characters

    @property
    def is_partial(self) -> bool:
        """The last token has begun a code point that it does not complete."""
        return self._detokenizer.is_partial

    @property
    def stopped(self) -> bool:
        """A stop was found: no further token is of interest."""
        return self._has_stop_token or self._stop_strings.matched is not None

    @property
    def stop_string(self) -> str | None:
        """The one that was found."""
        return self._stop_strings.matched

    def feed(self, token_ids: Iterable[int]) -> list[Piece]:
        """The pieces that these tokens release, often none."""
        return [piece for token_id in token_ids for piece in self._take(token_id)]

    def flush(self) -> list[Piece]:
        """The rest, after the last token."""
        if self.stopped:
            return []
        return self._cut(
            [*self._parser.feed(self._detokenizer.flush()), *self._parser.flush()], is_last=True
        )

    def _take(self, token_id: int) -> list[Piece]:
        if self.stopped:
            return []
        self.num_reasoning_tokens += self._parser.is_thinking
        if self._num_unwatched > 0:
            self._num_unwatched -= 1
            return self._parser.feed(self._detokenizer.feed((token_id,)))
        if token_id in self._stop_ids:
            rest = self.flush()
            self._has_stop_token = True
            return rest
        return self._cut(self._parser.feed(self._detokenizer.feed((token_id,))))

    def _cut(self, pieces: Iterable[Piece], *, is_last: bool = False) -> list[Piece]:
        """Without what is behind a stop string; text that may be the beginning of one is held."""
        found: list[Piece] = []
        for piece in pieces:
            if piece.kind is PieceKind.CONTENT:
                _add_text(found, self._stop_strings.feed(piece.text))
                if self.stopped:
                    return found
            else:
                _add_text(found, self._stop_strings.flush())
                found.append(piece)
        if is_last:
            _add_text(found, self._stop_strings.flush())
        return found


def _add_text(found: list[Piece], text: str) -> None:
    if text:
        found.append(Piece(PieceKind.CONTENT, text))
