"""The output stages of one generation, in order: token ids, text, text before a stop string."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cria.output.detokenizer import Detokenizer
from cria.output.stop_strings import StopStrings


class OutputProcessor:
    """What the client gets to read of the tokens of one generation."""

    def __init__(self, pieces: Sequence[bytes], stops: Sequence[str]) -> None:
        self._detokenizer = Detokenizer(pieces)
        self._stop_strings = StopStrings(stops)

        self.num_released = 0
        """Characters that no stop string can take back any more."""

    @property
    def num_decoded(self) -> int:
        """Characters that are complete, released or not."""
        return self._detokenizer.num_characters

    @property
    def is_partial(self) -> bool:
        """The last token has begun a code point that it does not complete."""
        return self._detokenizer.is_partial

    @property
    def stopped(self) -> bool:
        """A stop string was found: no further token is of interest."""
        return self._stop_strings.matched is not None

    def feed(self, token_ids: Iterable[int]) -> str:
        """The text that these tokens release, often none."""
        text = self._stop_strings.feed(self._detokenizer.feed(token_ids))
        self.num_released += len(text)
        return text

    def flush(self) -> str:
        """The rest, after the last token."""
        text = self._stop_strings.feed(self._detokenizer.flush())
        text += self._stop_strings.flush()
        self.num_released += len(text)
        return text
