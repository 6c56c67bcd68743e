from __future__ import annotations

from pathlib import Path

import pytest

from cria.convert.wordpiece import CONTROL, NORMAL, UNUSED, WordPieces
from cria.errors import ModelFileError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "sing", "##ing", "#"]


def test_what_begins_a_word_is_marked_and_not_what_goes_on() -> None:
    words = WordPieces(WORDS, 8)
    assert words.texts == [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
        *("\u2581sing", "ing", "\u2581#", "[PAD7]"),
    ]
    assert words.kinds == [CONTROL] * 4 + [NORMAL] * 3 + [UNUSED]
    assert words.special_ids == {"cls": 2, "sep": 3, "unk": 1, "pad": 0}


def test_lines_may_hold_any_character_but_their_end(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS, "\u2028", "\x85", ""]), "utf-8")
    assert WordPieces.load(tmp_path / "vocab.txt", 9).texts[-2:] == ["\u2581\u2028", "\u2581\x85"]


@pytest.mark.parametrize(
    ("words", "size", "complaint"),
    [
        (["a"], 8, r"has no \[CLS\]"),
        ([], 8, "has no"),
        (WORDS, 6, "does not fit 6 embeddings"),
    ],
)
def test_other_vocabularies_are_refused(words: list[str], size: int, complaint: str) -> None:
    with pytest.raises(ModelFileError, match=complaint):
        WordPieces(words, size)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelFileError, match=r"Cannot read .*vocab\.txt"):
        WordPieces.load(tmp_path / "vocab.txt", 8)
