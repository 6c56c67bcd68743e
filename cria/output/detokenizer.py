"""Token ids to text, whole code points only.

A token is some bytes, not some characters: a code point that is spread over several tokens leaves
with its last byte. Bytes that are no UTF-8 become U+FFFD. The space with which the first word of
a SentencePiece model begins is kept, because a completion continues a text.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

_make_decoder = codecs.getincrementaldecoder("utf-8")


def text_of(pieces: Sequence[bytes], token_ids: Iterable[int]) -> str:
    """The text of all of these tokens together."""
    return b"".join([pieces[token_id] for token_id in token_ids]).decode("utf-8", "replace")


class Detokenizer:
    """Of one generation; `pieces` are the bytes of every token of the vocabulary."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._decoder = _make_decoder("replace")
        self.num_characters = 0
        """Of the text so far."""

    @property
    def is_partial(self) -> bool:
        """The last token has begun a code point that it does not complete."""
        return bool(self._decoder.getstate()[0])

    def feed(self, token_ids: Iterable[int]) -> str:
        """The text that is complete with these tokens."""
        pieces = self._pieces
        text = self._decoder.decode(b"".join([pieces[token_id] for token_id in token_ids]))
        self.num_characters += len(text)
        return text

    def flush(self) -> str:
        """U+FFFD if the last code point was never completed."""
        text = self._decoder.decode(b"", final=True)
        self.num_characters += len(text)
        return text
