"""Converted models, computed by llama.cpp and by numpy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cria.convert.bert import convert_bert
from cria.errors import ModelFileError
from cria.native.batch import Batch
from cria.native.embedding_context import EmbeddingContext, EmbeddingOptions
from cria.native.library import Library, load
from cria.native.model import Model
from tests.convert import tiny_bert
from tests.convert.tiny_bert import CONTEXT, WIDTH, WORDS

TOKENS = [2, 57, 58, 59, 5, 3]


@pytest.fixture(scope="module")
def native() -> Library:
    return load()


def compute(native: Library, path: Path, pooling: str, token_ids: list[int]) -> np.ndarray:
    model = Model(native, str(path))
    options = EmbeddingOptions(CONTEXT, 4, CONTEXT, 1, pooling)
    context = EmbeddingContext(model, options)
    batch = Batch(CONTEXT)
    batch.append(token_ids, 0, 0, output=True)
    context.decode(batch)
    vector = context.sequence_vector(0)
    context.close()
    return vector


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_an_embedding_model_computes_what_it_did(
    native: Library, tmp_path: Path, pooling: str
) -> None:
    weights = tiny_bert.write_model(tmp_path / "model", pooling=pooling)
    convert_bert(tmp_path / "model", tmp_path / "out.gguf")
    model = Model(native, str(tmp_path / "out.gguf"))
    assert (model.architecture, model.pooling, model.has_decoder) == ("bert", pooling, False)
    assert (model.embedding_size, model.training_context) == (WIDTH, CONTEXT)
    tokens = tiny_bert.token_vectors(weights, TOKENS)
    expected = {"mean": tokens.mean(0), "cls": tokens[0], "last": tokens[-1]}[pooling]
    found = compute(native, tmp_path / "out.gguf", pooling, TOKENS)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("classes", [1, 3])
def test_a_reranker_computes_what_it_did(native: Library, tmp_path: Path, classes: int) -> None:
    labels = {str(number): f"label {number}" for number in range(classes)}
    weights = tiny_bert.write_model(tmp_path / "model", classes=classes, id2label=labels)
    convert_bert(tmp_path / "model", tmp_path / "out.gguf")
    model = Model(native, str(tmp_path / "out.gguf"))
    assert (model.pooling, model.num_classes) == ("rank", classes)
    found = compute(native, tmp_path / "out.gguf", "rank", TOKENS)
    np.testing.assert_allclose(found, tiny_bert.score(weights, TOKENS), atol=0.02)


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({}, ["hello", "world", "##ing", "a", "[UNK]"]),
        ({"do_lower_case": False}, ["[UNK]", "world", "##ing", "[UNK]", "[UNK]"]),
        ({"strip_accents": False}, ["hello", "world", "##ing", "[UNK]", "[UNK]"]),
    ],
)
def test_words_are_split_as_the_model_was_trained(
    native: Library, tmp_path: Path, settings: dict[str, bool], ids: list[str]
) -> None:
    tiny_bert.write_model(tmp_path / "model")
    (tmp_path / "model" / "tokenizer_config.json").write_text(json.dumps(settings))
    convert_bert(tmp_path / "model", tmp_path / "out.gguf")
    vocab = Model(native, str(tmp_path / "out.gguf")).vocab
    text = "Hello worlding \u00c4 \u65e5".encode()
    found = vocab.tokenize(text, add_special=True, parse_special=True)
    assert [WORDS[token] for token in found] == ["[CLS]", *ids, "[SEP]"]
    assert (vocab.bos_id, vocab.sep_id, vocab.add_bos, vocab.add_sep) == (2, 3, True, True)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "roberta"}, "model_type is roberta"),
        ({"hidden_act": "relu"}, "hidden_act is relu"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"num_attention_heads": 5}, "multiple"),
        ({"hidden_size": 0}, "not what it should be"),
        ({"hidden_size": "x"}, "not what it should be"),
        ({"max_position_embeddings": 65}, "has the shape"),
        ({"num_hidden_layers": 3}, "has no tensor encoder.layer.2"),
        ({"vocab_size": 10}, "does not fit 10 embeddings"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    tmp_path: Path, config: dict[str, object], words: str
) -> None:
    tiny_bert.write_model(tmp_path / "model", **config)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match=words):
        convert_bert(tmp_path / "model", tmp_path / "out.gguf")


def test_pooling_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    tiny_bert.write_model(tmp_path / "model")
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text("{}")
    with pytest.raises(ModelFileError, match="does not know"):
        convert_bert(tmp_path / "model", tmp_path / "out.gguf")


def test_without_the_files_of_sentence_transformers_it_is_the_mean(
    native: Library, tmp_path: Path
) -> None:
    tiny_bert.write_model(tmp_path / "model", pooling="cls")
    (tmp_path / "model" / "modules.json").unlink()
    convert_bert(tmp_path / "model", tmp_path / "out.gguf")
    assert Model(native, str(tmp_path / "out.gguf")).pooling == "mean"


@pytest.mark.parametrize("name", ["config.json", "vocab.txt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    tiny_bert.write_model(tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    with pytest.raises(ModelFileError, match=name):
        convert_bert(tmp_path / "model", tmp_path / "out.gguf")
