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

    @property
    def stopped(self) -> bool:
        """A stop string was found: no further token is of interest."""
        return self._stop_strings.matched is not None

    def feed(self, token_ids: Iterable[int]) -> str:
        """The text that these tokens release, often none."""
        return self._stop_strings.feed(self._detokenizer.feed(token_ids))

    def flush(self) -> str:
        """The rest, after the last token."""
        text = self._stop_strings.feed(self._detokenizer.flush())
        return text + self._stop_strings.flush()
