"""Text to token ids, with the checks that the native tokenizer does not make.

1. Text beyond what could ever fit is refused before it is tokenised, which takes a second for
   every few megabytes.
2. Token ids that a client sends are in the vocabulary.
3. There is at most one begin-of-sequence token that the client did not write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Protocol

from cria.errors import RequestError

MAX_BYTES_PER_TOKEN = 64
EXTRA_BYTES = 64 * 1024


class Vocabulary(Protocol):
    """The part of `native.vocab.Vocab` that is needed here."""

    @property
    def num_tokens(self) -> int: ...
    @property
    def bos_id(self) -> int | None: ...
    @property
    def eos_id(self) -> int | None: ...
    @property
    def sep_id(self) -> int | None: ...
    @property
    def add_bos(self) -> bool: ...
    @property
    def add_eos(self) -> bool: ...
    @property
    def add_sep(self) -> bool: ...
    @property
    def pieces(self) -> list[bytes]: ...
    @property
    def control_pieces(self) -> list[bytes]: ...
    def tokenize(self, text: bytes, *, add_special: bool, parse_special: bool) -> list[int]: ...


class Tokenizer:
    """Of one model; `context_size`, once it is known, bounds what is worth tokenising."""

    def __init__(self, vocab: Vocabulary, context_size: int | None = None) -> None:
        self._vocab = vocab
        self.context_size = context_size

    @property
    def num_tokens(self) -> int:
        """The size of the vocabulary."""
        return self._vocab.num_tokens

    @property
    def pieces(self) -> list[bytes]:
        """The bytes of every token as a reader sees them; none for control tokens."""
        return self._vocab.pieces

    @cached_property
    def control_texts(self) -> frozenset[str]:
        """How the control tokens are written."""
        vocab = self._vocab
        pairs = zip(self.pieces, vocab.control_pieces, strict=True)
        return frozenset(text.decode("utf-8", "replace") for piece, text in pairs if not piece)

    def encode_text(self, text: str) -> list[int]:
        """A plain prompt, control tokens parsed: its author is in charge of the whole text."""
        data = self.check_size([text], "prompt", self.context_size)[0]
        ids = self._vocab.tokenize(data, add_special=True, parse_special=True)
        if self._vocab.add_eos and ids[-1:] == [self._vocab.eos_id]:
            ids.pop()  # A prompt that ended here could not be continued.
        return ids or self._begin_of_sequence("prompt")

    def encode_whole(self, text: str, context_size: int) -> list[int]:
        """A text to embed, between the tokens that the model was trained with.

        Other than a prompt it ends: an end-of-sequence token stays.
        """
        data = self.check_size([text], "input", context_size)[0]
        ids = self._vocab.tokenize(data, add_special=True, parse_special=True)
        return ids or self._begin_of_sequence("input")

    def encode_chat(self, segments: Sequence[str]) -> list[int]:
        """A rendered conversation, as `ChatTemplate.render` returns it."""
        ids: list[int] = []
        for data in self.check_size(segments, "messages", self.context_size):
            ids += self._vocab.tokenize(data, add_special=False, parse_special=True)
        bos = [self._vocab.bos_id] if self._vocab.bos_id is not None else []
        if self._vocab.add_bos and ids[:1] != bos:
            ids[:0] = bos
        return ids

    def check_size(self, texts: Sequence[str], param: str, size: int | None) -> list[bytes]:
        """The bytes of texts that may fit into so many tokens; RequestError if they cannot."""
        data = [text.encode() for text in texts]
        num_bytes = sum(map(len, data))
        if size is not None and num_bytes > MAX_BYTES_PER_TOKEN * size + EXTRA_BYTES:
            raise RequestError(
                f"This model's maximum context length is {size} tokens. However, your {param} "
                f"resulted in {num_bytes} bytes, which are more than {size} tokens. Please reduce "
                f"the length of the {param}. (context_length_exceeded: prompt is too long)",
                param=param,
                code="context_length_exceeded",
            )
        return data

    def check_ids(self, token_ids: Iterable[int], param: str) -> None:
        """Raise for the first id that is not in the vocabulary."""
        for index, token_id in enumerate(token_ids):
            if not 0 <= token_id < self._vocab.num_tokens:
                raise self._unknown_token(token_id, f"{param}[{index}]")

    def check_logit_bias(self, token_ids: Iterable[int]) -> None:
        """The same for ids that are keys."""
        for token_id in token_ids:
            if not 0 <= token_id < self._vocab.num_tokens:
                raise self._unknown_token(token_id, "logit_bias")

    def _unknown_token(self, token_id: int, param: str) -> RequestError:
        return RequestError(
            f"Invalid '{param}': {token_id} is no token of this model. "
            f"Token ids are 0 to {self._vocab.num_tokens - 1}.",
            param=param,
            code="invalid_value",
        )

    def _begin_of_sequence(self, param: str) -> list[int]:
        if self._vocab.bos_id is None:
            raise RequestError(
                f"Invalid '{param}': it is empty, and this model has no token to begin with. "
                "Send some text.",
                param=param,
                code="empty_string",
            )
        return [self._vocab.bos_id]
