"""The vocabulary as llguidance wants it: the bytes of every token, and a way to tokenise."""

from __future__ import annotations

import ctypes
from typing import cast

from llguidance import LLTokenizer

from cria.native.vocab import Vocab

_SPECIAL = b"\xff"
"""llguidance's mark for tokens that no text is made of."""


def opens_with_blank(vocab: Vocab) -> bool:
    """Whether texts begin with a space in the eyes of the model (SentencePiece's prefix)."""
    ids = vocab.tokenize(b"{", add_special=False, parse_special=False)
    return b"".join(vocab.pieces[token] for token in ids).startswith(b" ")


def make_grammar_tokenizer(vocab: Vocab) -> LLTokenizer:
    """For grammars; `vocab` must live as long as the result.

    Takes a fifth of a second for 50,000 tokens, in which no other Python thread runs. ValueError
    if no token could end an answer.
    """
    if not vocab.end_of_generation_ids:
        raise ValueError("the model has no token that ends an answer")
    pairs = zip(vocab.pieces, vocab.control_pieces, strict=True)
    tokens = [piece or _SPECIAL + name for piece, name in pairs]
    # cria_tokenize is llama_tokenize, but throws no C++ exception through llguidance's Rust.
    tokenize = ctypes.cast(vocab.library.cria_tokenize, ctypes.c_void_p).value
    make = LLTokenizer.from_llamacpp  # type: ignore[attr-defined]  # not in its type stubs
    tokenizer = make(
        tokens=tokens,
        vocab_ptr=ctypes.cast(vocab.pointer, ctypes.c_void_p).value,
        tokenize_fptr=tokenize,
        eos_token=list(vocab.end_of_generation_ids),
    )
    return cast(LLTokenizer, tokenizer)
