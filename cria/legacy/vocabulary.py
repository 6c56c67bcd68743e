"""The vocabulary of a model's file, as it was and as GGUF wants it.

Old files have plain texts, with spaces, and single bytes for what is no text; the kinds of tokens
are not told, and follow from the ids and the lengths.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from cria.legacy.formats import Format
from cria.legacy.source import Source
from cria.model_file.reader import BadFile

SECTION = "the vocabulary"
MAX_TOKEN_BYTES = 4095
MAX_TOTAL_BYTES = 32 * 1024 * 1024
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # enum llama_token_type
SPECIAL = ((b"<unk>", UNKNOWN), (b"<s>", CONTROL), (b"</s>", CONTROL))
FIRST_BYTE_ID, FIRST_TEXT_ID = 3, 259
BLANK = "\u2581".encode()
"""What stands for a space."""
NEVER = -1e9
"""The score of two blanks in LLaMA's vocabulary, which is no step of a merge."""


@dataclass(frozen=True)
class Vocabulary:
    """One of each for every token."""

    texts: list[bytes]
    scores: list[float]
    types: list[int]
    has_scores: bool
    """False: `scores` follow from the order of the ids."""


def read_vocabulary(source: Source, form: Format, size: int) -> Vocabulary:
    """BadFile if llama.cpp could not tokenise with it."""
    least = size * (8 if form.has_scores else 4)
    if least > source.num_left:
        raise BadFile(
            f"it is truncated at offset {source.num_bytes} in {SECTION}: {size} tokens need more "
            f"than {least} bytes"
        )
    found, scores = _read_tokens(source, form, size)
    texts, types = [], []
    for token_id, text in enumerate(found):
        mapped, kind = _mapped(token_id, text)
        texts.append(mapped)
        types.append(kind)
    _check_bytes(texts)
    _check_unique(texts)
    if not form.has_scores:
        scores = [_score_by_order(token_id, text) for token_id, text in enumerate(texts)]
    return Vocabulary(texts, scores, types, form.has_scores)


def _read_tokens(source: Source, form: Format, size: int) -> tuple[list[bytes], list[float]]:
    texts: list[bytes] = []
    scores: list[float] = []
    total = 0
    for token_id in range(size):
        (length,) = source.numbers("I", SECTION)
        total += length
        if length > MAX_TOKEN_BYTES or total > MAX_TOTAL_BYTES:
            raise BadFile(f"token {token_id} has {length} bytes, which no llama file has")
        texts.append(source.take(length, SECTION))
        if form.has_scores:
            scores.append(_read_score(source, token_id))
    return texts, scores


def _read_score(source: Source, token_id: int) -> float:
    score: float = struct.unpack("<f", source.take(4, SECTION))[0]
    if not math.isfinite(score):
        raise BadFile(f"the score of token {token_id} is {score}")
    return score


def _mapped(token_id: int, text: bytes) -> tuple[bytes, int]:
    if token_id < len(SPECIAL):
        return SPECIAL[token_id]
    if token_id < FIRST_TEXT_ID and len(text) == 1:
        return b"<0x%02X>" % text[0], BYTE
    if not text:
        return text, CONTROL
    if 0 in text:
        # llama.cpp would end the text there.
        raise BadFile(f"token {token_id} has a byte of 0 in it")
    return text.replace(b" ", BLANK), NORMAL


def _check_bytes(texts: list[bytes]) -> None:
    """Without them llama.cpp's tokeniser throws at the first unknown character."""
    missing = {b"<0x%02X>" % byte for byte in range(256)}.difference(texts)
    if missing:
        raise BadFile(
            f"its vocabulary has no token for {len(missing)} of the 256 bytes; "
            "it is not the vocabulary of a llama model"
        )


def _check_unique(texts: list[bytes]) -> None:
    seen: dict[bytes, int] = {}
    for token_id, text in enumerate(texts):
        named = text or b"[EMPTY_%d]" % token_id  # as llama.cpp calls it
        if named in seen:
            shown = ascii(named[:60].decode("utf-8", "replace"))
            raise BadFile(f"the tokens {seen[named]} and {token_id} are both {shown}")
        seen[named] = token_id


def _score_by_order(token_id: int, text: bytes) -> float:
    """LLaMA's own vocabulary is in the order of its merges."""
    if token_id < FIRST_TEXT_ID:
        return 0.0
    return NEVER if text == 2 * BLANK else -float(token_id - FIRST_TEXT_ID)
