from __future__ import annotations

import pytest

from cria.errors import ModelFileError, NativeError
from cria.prompt.vocabulary_trial import try_vocabulary
from tests.prompt.fake_vocab import FakeVocab


@pytest.mark.parametrize("tokenizer", ["gpt2", "bert"])
def test_all_are_there(tokenizer: str) -> None:
    try_vocabulary(FakeVocab(add_bos=True, add_eos=True), "m.gguf", tokenizer)


def test_what_is_not_added_need_not_be_there() -> None:
    try_vocabulary(FakeVocab(bos_id=None, eos_id=None), "m.gguf", "gpt2")
    try_vocabulary(FakeVocab(eos_id=None), "m.gguf", "bert")


@pytest.mark.parametrize(
    ("vocab", "tokenizer", "words"),
    [
        (FakeVocab(add_bos=True, bos_id=None), "gpt2", "m.gguf .* a begin-of-sequence token"),
        (FakeVocab(add_eos=True, eos_id=None), "gpt2", "an end-of-sequence token"),
        (FakeVocab(bos_id=None), "bert", "a begin-of-sequence token"),
    ],
)
def test_one_is_missing(vocab: FakeVocab, tokenizer: str, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        try_vocabulary(vocab, "m.gguf", tokenizer)


def test_word_pieces_are_separated() -> None:
    vocab = FakeVocab()
    vocab.sep_id = None
    with pytest.raises(ModelFileError, match="a separator token"):
        try_vocabulary(vocab, "m.gguf", "bert")


def test_text_that_it_cannot_express(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> list[int]:
        raise NativeError("unordered_map::at")

    vocab = FakeVocab()
    monkeypatch.setattr(vocab, "tokenize", fail)
    with pytest.raises(ModelFileError, match="has no tokens for 'Hi'"):
        try_vocabulary(vocab, "m.gguf", "llama")
