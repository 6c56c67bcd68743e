"""Tokens: texts as GGUF wants them, their kinds, scores that are there or follow from the order."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.legacy.formats import FORMATS
from cria.legacy.vocabulary import Vocabulary, read_vocabulary
from cria.model_file.reader import BadFile
from tests.legacy.ggml_files import texts
from tests.legacy.old_source import source_of

GGML, GGJT = FORMATS[b"lmgg", None], FORMATS[b"tjgg", 3]


def read(found: list[bytes], scores: list[float] | None = None) -> Vocabulary:
    """As a `ggml` file, or one with scores, has them."""
    data = b""
    for number, text in enumerate(found):
        data += struct.pack("<I", len(text)) + text
        data += b"" if scores is None else struct.pack("<f", scores[number])
    return read_vocabulary(source_of(data), GGML if scores is None else GGJT, len(found))


def test_the_first_three_are_special_and_bytes_follow() -> None:
    found = read(texts(261))
    assert found.texts[:3] == [b"<unk>", b"<s>", b"</s>"]
    assert found.types[:3] == [2, 3, 3]
    assert found.texts[3] == b"<0x00>" and found.texts[258] == b"<0xFF>"
    assert set(found.types[3:259]) == {6}
    assert found.texts[259:] == ["\u2581w259".encode(), "\u2581w260".encode()]
    assert found.types[259:] == [1, 1]


def test_one_letter_after_the_bytes_is_text() -> None:
    found = read([*texts(259), b"a", b" "])
    assert found.texts[259:] == [b"a", "\u2581".encode()]
    assert found.types[259:] == [1, 1]


def test_scores_are_those_of_the_file() -> None:
    scores = [float(-n) / 4 for n in range(262)]
    found = read(texts(262), scores)
    assert found.scores == scores and found.has_scores


def test_scores_by_order_fall() -> None:
    found = read([*texts(261), b"  ", b"end"])
    assert not found.has_scores
    assert found.scores[:259] == [0.0] * 259
    assert found.scores[259:] == [0.0, -1.0, -1e9, -3.0]


def test_texts_that_are_no_utf_8_stay() -> None:
    assert read([*texts(259), b"\xe2\x96"]).texts[259] == b"\xe2\x96"


def test_one_token_without_text() -> None:
    assert read([*texts(259), b""]).types[259] == 3
    with pytest.raises(BadFile, match="the tokens 259 and 260"):
        read([*texts(259), b"[EMPTY_260]", b""])  # what llama.cpp calls it


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({40: b"ab"}, "no token for 1 of the 256 bytes"),
        ({259: b"a\0b"}, "token 259 has a byte of 0"),
        ({260: b" w259"}, "the tokens 259 and 260 are both"),
        ({260: b"<s>"}, "the tokens 1 and 260"),
        ({259: bytes(4096)}, "token 259 has 4096 bytes"),
    ],
)
def test_what_llama_cpp_could_not_use(changes: dict[int, bytes], words: str) -> None:
    found = texts(261)
    for number, text in changes.items():
        found[number] = text
    with pytest.raises(BadFile, match=words):
        read(found)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_are_numbers(score: float) -> None:
    with pytest.raises(BadFile, match="the score of token 100"):
        read(texts(261), [score if n == 100 else 0.0 for n in range(261)])


def test_more_tokens_than_the_file_could_have_are_not_begun() -> None:
    with pytest.raises(BadFile, match="100000 tokens need more than 800000 bytes"):
        read_vocabulary(source_of(bytes(1000)), GGJT, 100_000)


@given(st.lists(st.binary(min_size=2, max_size=6), max_size=8))
def test_any_texts_are_refused_or_keep_their_number(more: list[bytes]) -> None:
    found = [*texts(259), *more]
    try:
        vocabulary = read(found)
    except BadFile as error:
        assert "both" in str(error) or "byte of 0" in str(error)
    else:
        assert len(vocabulary.texts) == len(vocabulary.scores) == len(found)
        assert not any(b" " in text for text in vocabulary.texts)
