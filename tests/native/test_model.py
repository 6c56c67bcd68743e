from __future__ import annotations

from pathlib import Path

import pytest

from cria.errors import ModelFileError
from cria.native.library import Library
from cria.native.model import Model, ModelOptions
from cria.native.tiny_model import write_tiny_model


def test_metadata_and_sizes(tiny_model: Model) -> None:
    assert tiny_model.architecture == "llama"
    assert tiny_model.training_context == 2048
    assert tiny_model.num_layers == 2
    assert tiny_model.num_parameters > 100_000
    assert 0 < tiny_model.num_bytes < 600_000
    assert tiny_model.has_decoder
    assert tiny_model.metadata("no.such.key") is None
    assert "im_start" in (tiny_model.chat_template() or "")


def test_bytes_per_cell_follow_the_attention(tiny_model: Model) -> None:
    # 2 layers x 1 head of keys and values x 64 values, 2 bytes each for K and V
    assert tiny_model.kv_bytes_per_token(2, 2) == 2 * 64 * (2 + 2)


def test_the_text_side_needs_no_weights(native: Library, tiny_gguf: Path) -> None:
    model = Model(native, str(tiny_gguf), ModelOptions(vocab_only=True))
    assert model.vocab.num_tokens == 512
    assert model.training_context == 2048
    assert model.kv_bytes_per_token(2, 2) == 512
    model.close()


def test_no_template_is_none(native: Library, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "plain.gguf")
    model = Model(native, str(tmp_path / "plain.gguf"), ModelOptions(vocab_only=True))
    assert model.chat_template() is None


def test_what_a_model_is_good_for(
    native: Library, tiny_gguf: Path, tiny_bert_gguf: Path, tiny_reranker_gguf: Path
) -> None:
    models = [Model(native, str(p)) for p in (tiny_gguf, tiny_bert_gguf, tiny_reranker_gguf)]
    assert [model.has_decoder for model in models] == [True, False, False]
    assert [model.can_embed for model in models] == [True, True, True]
    assert [model.pooling for model in models] == ["none", "mean", "rank"]
    assert [model.embedding_size for model in models] == [128, 32, 32]


def test_templates_have_names(native: Library, tiny_gguf: Path) -> None:
    model = Model(native, str(tiny_gguf))
    assert model.chat_template() is not None
    assert model.chat_template("rerank") is None


def test_progress_ends_at_one(native: Library, tiny_gguf: Path) -> None:
    seen: list[float] = []
    Model(native, str(tiny_gguf), on_progress=seen.append).close()
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_an_error_of_the_progress_callback_ends_the_load(native: Library, tiny_gguf: Path) -> None:
    def fail(_fraction: float) -> None:
        raise ValueError("nobody listens")

    with pytest.raises(ValueError, match="nobody listens"):
        Model(native, str(tiny_gguf), on_progress=fail)


@pytest.mark.parametrize("use_mmap", [True, False])
def test_both_ways_of_reading_the_weights(native: Library, tiny_gguf: Path, use_mmap: bool) -> None:
    Model(native, str(tiny_gguf), ModelOptions(use_mmap=use_mmap)).close()


def test_tensor_split_is_accepted_without_a_gpu(native: Library, tiny_gguf: Path) -> None:
    Model(native, str(tiny_gguf), ModelOptions(tensor_split=(1.0,))).close()


@pytest.mark.parametrize("size", [0, 3, 4, 24, 1000, 200_000])
def test_a_damaged_file_is_one_sentence(
    native: Library, tiny_gguf: Path, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[:size])
    with pytest.raises(ModelFileError, match=r"damaged\.gguf cannot be loaded: \S.*\.$"):
        Model(native, str(path))


def test_a_missing_file_is_one_sentence(native: Library, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.gguf cannot be loaded"):
        Model(native, str(tmp_path / "none.gguf"))
