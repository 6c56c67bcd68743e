"""The output stages of one generation, in order: token ids, text, text before a stop."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from cria.output.detokenizer import Detokenizer
from cria.output.stop_strings import StopStrings


class OutputProcessor:
    """What the client gets to read of the tokens of one generation.

    It ends before the first stop string and before the first of the tokens `stop_ids`; neither is
    looked for in the first `min_tokens` tokens and their text.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        stops: Sequence[str],
        stop_ids: Collection[int] = (),
        min_tokens: int = 0,
    ) -> None:
        self._detokenizer = Detokenizer(pieces)
        self._stop_strings = StopStrings(stops)
        self._stop_ids = stop_ids
        self._num_unwatched = min_tokens
        self._is_plain = not (stop_ids or min_tokens)
        self._has_stop_token = False

        self.num_released = 0
        """Characters that no stop string can take back any more."""

    num_reasoning_tokens: ClassVar[int] = 0
    """All of it is text to this class."""

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
        """A stop was found: no further token is of interest."""
        return self._has_stop_token or self._stop_strings.matched is not None

    @property
    def stop_string(self) -> str | None:
        """The one that was found."""
        return self._stop_strings.matched

    def feed(self, token_ids: Iterable[int]) -> str:
        """The text that these tokens release, often none."""
        return self._release(self._passed(token_ids))

    def flush(self) -> str:
        """The rest, after the last token."""
        return self._release(self._rest())

    def _release(self, text: str) -> str:
        self.num_released += len(text)
        return text

    def _passed(self, token_ids: Iterable[int]) -> str:
        if self._is_plain:
            return self._stop_strings.feed(self._detokenizer.feed(token_ids))
        ids = list(token_ids)
        unwatched = ids[: self._num_unwatched]
        self._num_unwatched -= len(unwatched)
        return self._detokenizer.feed(unwatched) + self._watch(ids[len(unwatched) :])

    def _rest(self) -> str:
        text = self._stop_strings.feed(self._detokenizer.flush())
        return text + self._stop_strings.flush()

    def _watch(self, token_ids: Sequence[int]) -> str:
        """With an eye on stop tokens."""
        if self._has_stop_token:
            return ""
        end = next((i for i, token in enumerate(token_ids) if token in self._stop_ids), None)
        text = self._stop_strings.feed(self._detokenizer.feed(token_ids[:end]))
        if end is None:
            return text
        self._has_stop_token = True
        return text + self._rest()
