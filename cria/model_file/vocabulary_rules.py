"""What the vocabulary of a header has to be, so that llama.cpp can load it and tokenise with it.

The server process does both itself: `GGML_ASSERT` and `GGML_ABORT` in `llama-vocab.cpp` end it.
"""

from __future__ import annotations

from cria.model_file.header import Header, shown
from cria.model_file.reader import BadFile
from cria.model_file.values import Numbers

SPECIAL_IDS = ("bos", "eos", "unknown", "seperator", "padding", "mask", "eot", "eom", "cls")
NO_TOKENIZERS = ("none", "no_vocab", "test")
"""The last one is llama.cpp's own, for its tests."""
WORD_PIECES = "bert"
BYTE_PAIRS = ("gpt2", "gemma4", "hybriddna")
WITHOUT_BLANKS = "whitespace"
"""A way to split text, and the only kind of vocabulary that keeps blanks away from it."""
BYTE = 6  # LLAMA_TOKEN_TYPE_BYTE


def _check_tokenizer(header: Header) -> None:
    if header.tokenizer in NO_TOKENIZERS:
        raise BadFile(
            f"tokenizer.ggml.model is {header.tokenizer}, which turns no text into tokens"
        )


def _check_splitting(header: Header) -> None:
    """llama.cpp aborts at the first blank in a text that it tokenises."""
    pre = header.metadata.get("tokenizer.ggml.pre")
    if pre == WITHOUT_BLANKS and header.tokenizer in BYTE_PAIRS:
        raise BadFile(f"tokenizer.ggml.pre is {pre}, but tokenizer.ggml.model {header.tokenizer}")


def _check_byte_tokens(header: Header) -> None:
    """WordPiece has none; llama.cpp aborts at the first."""
    types = header.metadata.get("tokenizer.ggml.token_type")
    if header.tokenizer != WORD_PIECES or not isinstance(types, Numbers):
        return
    values = types.values()
    if BYTE in values:
        raise BadFile(
            f"the token {values.index(BYTE)} stands for a byte, "
            f"which no vocabulary of the kind {WORD_PIECES} can have"
        )


def _check_tokens(header: Header) -> None:
    """An empty one is given a name of its own by llama.cpp."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        return
    if not tokens:
        raise BadFile("its vocabulary is empty")
    named = [token or b"[EMPTY_%d]" % i for i, token in enumerate(tokens)]
    if len(set(named)) == len(named):
        return
    seen: set[bytes] = set()
    for i, token in enumerate(named):
        if token in seen:
            text = ascii(token.decode("utf-8", "replace"))
            raise BadFile(f"its vocabulary has {shown(text)} twice, the second time as token {i}")
        seen.add(token)


def _check_special_ids(header: Header) -> None:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        return
    for name in SPECIAL_IDS:
        key = f"tokenizer.ggml.{name}_token_id"
        value = header.metadata.get(key)
        # All bits set is how some files say that there is none.
        if isinstance(value, int) and value not in (-1, 2**32 - 1) and value >= len(tokens):
            raise BadFile(f"{key} is {value}, but its vocabulary has {len(tokens)} tokens")


VOCABULARY_RULES = (
    _check_tokenizer,
    _check_splitting,
    _check_byte_tokens,
    _check_tokens,
    _check_special_ids,
)
