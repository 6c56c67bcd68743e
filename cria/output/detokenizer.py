"""Token ids to text, whole code points only.

A token is some bytes, not some characters: a code point that is spread over several tokens leaves
with its last byte. Bytes that are no UTF-8 become U+FFFD. The space with which the first word of
a SentencePiece model begins is kept, because a completion continues a text.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

_make_decoder = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    """Of one generation; `pieces` are the bytes of every token of the vocabulary."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._decoder = _make_decoder("replace")

    def feed(self, token_ids: Iterable[int]) -> str:
        """The text that is complete with these tokens."""
        pieces = self._pieces
        return self._decoder.decode(b"".join([pieces[token_id] for token_id in token_ids]))

    def flush(self) -> str:
        """U+FFFD if the last code point was never completed."""
        return self._decoder.decode(b"", final=True)
