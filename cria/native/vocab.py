"""`Vocab`: text to token ids and back, and the ids with a meaning of their own.

The C API declares the vocabulary thread-safe, so the server may tokenise in several threads.
"""

from __future__ import annotations

import ctypes
from functools import cached_property

import numpy as np

from cria.errors import NativeError
from cria.native.handles import NativeHandle
from cria.native.library import Library

PIECE_BYTES = 256
"""First guess for the length of a token's text; longer ones are asked for again."""


class Vocab:
    """The vocabulary of `model` (`const struct llama_vocab`), which it keeps alive."""

    def __init__(self, library: Library, model: NativeHandle) -> None:
        self._model = model
        self.library = library
        self.pointer = self.library.llama_model_get_vocab(model.pointer)
        self.num_tokens = int(self.library.llama_vocab_n_tokens(self.pointer))

    @property
    def bos_id(self) -> int | None:
        return _id_or_none(self.library.llama_vocab_bos(self.pointer))

    @property
    def eos_id(self) -> int | None:
        return _id_or_none(self.library.llama_vocab_eos(self.pointer))

    @property
    def pad_id(self) -> int | None:
        return _id_or_none(self.library.llama_vocab_pad(self.pointer))

    @property
    def sep_id(self) -> int | None:
        """Between two texts that belong together, such as a question and a document."""
        return _id_or_none(self.library.llama_vocab_sep(self.pointer))

    @property
    def add_bos(self) -> bool:
        """The model was trained with a begin-of-sequence token."""
        return bool(self.library.llama_vocab_get_add_bos(self.pointer))

    @property
    def add_eos(self) -> bool:
        return bool(self.library.llama_vocab_get_add_eos(self.pointer))

    @property
    def add_sep(self) -> bool:
        return bool(self.library.llama_vocab_get_add_sep(self.pointer))

    @property
    def fim_ids(self) -> tuple[int, int, int] | None:
        """The tokens that come before a prefix, a suffix and the middle that is to be filled in.

        None if one of them is missing. What ends the middle is among `end_of_generation_ids`.
        """
        library = self.library
        prefix = int(library.llama_vocab_fim_pre(self.pointer))
        suffix = int(library.llama_vocab_fim_suf(self.pointer))
        middle = int(library.llama_vocab_fim_mid(self.pointer))
        return None if min(prefix, suffix, middle) < 0 else (prefix, suffix, middle)

    @cached_property
    def end_of_generation_ids(self) -> tuple[int, ...]:
        """All tokens that end a generation: end of sequence, of turn, of message."""
        is_eog = self.library.llama_vocab_is_eog
        return tuple(t for t in range(self.num_tokens) if is_eog(self.pointer, t))

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of each token as they appear in text: none for control tokens."""
        return [self._piece(token, special=False) for token in range(self.num_tokens)]

    @cached_property
    def control_pieces(self) -> list[bytes]:
        """The bytes of each token, control tokens spelled out (`<|im_end|>`)."""
        return [self._piece(token, special=True) for token in range(self.num_tokens)]

    def tokenize(self, text: bytes, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text` (any bytes).

        `add_special` adds what the model was trained with (BOS, EOS); `parse_special` turns the
        text of a control token into that token, so it must be False for text of a user.
        """
        capacity = len(text) + 16  # no token is empty, and at most a few are added
        tokens = np.empty(capacity, np.int32)
        count = self.library.cria_tokenize(
            self.pointer, text, len(text), tokens.ctypes.data, capacity, add_special, parse_special
        )
        if count < 0:
            raise NativeError(f"tokenising {len(text)} bytes needs more than {capacity} tokens")
        result: list[int] = tokens[:count].tolist()
        return result

    def _piece(self, token: int, *, special: bool) -> bytes:
        size = PIECE_BYTES
        while True:
            text = ctypes.create_string_buffer(size)
            length = self.library.cria_token_to_piece(self.pointer, token, text, size, 0, special)
            if length >= 0:
                return text.raw[:length]
            size = -length


def _id_or_none(token: int) -> int | None:
    return None if token < 0 else int(token)
