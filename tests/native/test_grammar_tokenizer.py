from __future__ import annotations

from pathlib import Path

import pytest

from cria.constraint import sources
from cria.constraint.compiler import GrammarCompiler
from cria.native.grammar_tokenizer import make_grammar_tokenizer, opens_with_blank
from cria.native.library import Library
from cria.native.model import Model, ModelOptions
from cria.native.tiny_model import write_tiny_vocab


def test_it_knows_the_bytes_of_each_token(tiny_model: Model) -> None:
    vocab, tokenizer = tiny_model.vocab, make_grammar_tokenizer(tiny_model.vocab)
    assert tokenizer.vocab_size == vocab.num_tokens
    assert tokenizer.eos_token in vocab.end_of_generation_ids
    for text in ("{", "hello {}", "é 🙂"):
        pieces = [vocab.pieces[token] for token in tokenizer.tokenize_str(text)]
        assert b"".join(pieces) == text.encode(), "nothing is put before a text"


def test_no_text_takes_a_control_token(tiny_model: Model) -> None:
    vocab = tiny_model.vocab
    compiler = GrammarCompiler(make_grammar_tokenizer(vocab))
    matcher = compiler.matcher(sources.from_regex("(?s:.*)"))
    ends = vocab.end_of_generation_ids
    controls = [t for t, piece in enumerate(vocab.pieces) if not piece and t not in ends]
    assert len(controls) >= 3
    assert not any(matcher.take(token) for token in controls)
    plain = vocab.tokenize(b"<|im_start|>", add_special=False, parse_special=False)
    assert all(map(matcher.take, plain)), "spelled out it is text like any other"


def test_any_token_that_ends_a_generation_ends_an_answer(tiny_model: Model) -> None:
    vocab = tiny_model.vocab
    compiler = GrammarCompiler(make_grammar_tokenizer(vocab))
    for end in vocab.end_of_generation_ids:
        matcher = compiler.matcher(sources.from_regex("a*"))
        assert matcher.take(end) and matcher.is_over


def test_a_vocabulary_that_puts_a_blank_before_texts(tiny_model: Model) -> None:
    vocab = tiny_model.vocab
    assert opens_with_blank(vocab)
    compiler = GrammarCompiler(make_grammar_tokenizer(vocab), opens_with_blank=True)
    ids = vocab.tokenize(b'{"a": 1}', add_special=False, parse_special=False)
    matcher = compiler.matcher(sources.from_json_schema({"type": "object"}))
    assert vocab.pieces[ids[0]] == b" " and all(map(matcher.take, ids)) and matcher.is_over


def test_a_vocabulary_that_does_not(native: Library, tmp_path: Path) -> None:
    write_tiny_vocab(tmp_path / "vocab.gguf")
    model = Model(native, str(tmp_path / "vocab.gguf"), ModelOptions(vocab_only=True))
    assert not opens_with_blank(model.vocab)


def test_without_an_end_there_is_no_grammar(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tiny_model.vocab.__dict__, "end_of_generation_ids", ())
    with pytest.raises(ValueError, match="ends an answer"):
        make_grammar_tokenizer(tiny_model.vocab)
