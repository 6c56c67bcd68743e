"""The generated model: its bytes, and that the real library loads, tokenises and decodes it."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cria.native import tiny_model
from cria.native.batch import Batch
from cria.native.context import Context, ContextOptions
from cria.native.library import LIBRARY_DIR, load
from cria.native.model import Model
from cria.native.tiny_model import write_tiny_model

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"


def written(folder: Path, **arguments: object) -> bytes:
    write_tiny_model(folder / "tiny.gguf", **arguments)  # type: ignore[arg-type]  # shorthand
    return (folder / "tiny.gguf").read_bytes()


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path)
    assert written(tmp_path) == first
    assert written(tmp_path, seed=1) != first
    assert len(first) < 600_000


def test_the_header_counts_what_follows(tmp_path: Path) -> None:
    for template, layers in ((None, 2), (TEMPLATE, 3)):
        data = written(tmp_path, chat_template=template, layers=layers)
        magic, version, num_tensors, num_keys = struct.unpack_from("<4sIQQ", data)
        assert (magic, version, num_tensors) == (b"GGUF", 3, 3 + 9 * layers)
        assert num_keys == tiny_model.metadata_count(template)
        assert len(data) % tiny_model.ALIGNMENT == 0


def test_the_vocabulary_is_whole() -> None:
    pieces = [piece for piece, _ in tiny_model.make_vocabulary()]
    assert len(pieces) == len(set(pieces)) == tiny_model.VOCABULARY
    assert pieces[:3] == ["<unk>", "<s>", "</s>"]
    assert pieces[3] == "<0x00>" and pieces[258] == "<0xFF>"
    with_marks = [piece for piece, _ in tiny_model.make_vocabulary(tiny_model.FIM_MARKS)]
    assert len(with_marks) == len(set(with_marks)) == tiny_model.VOCABULARY
    assert {piece for piece, _ in tiny_model.FIM_MARKS} <= set(with_marks) - set(pieces)


def test_weights_are_of_the_kinds_with_kernels_of_their_own() -> None:
    tensors = list(tiny_model.make_tensors(random.Random(0), 1))
    assert {tensor.kind for tensor in tensors} == {
        tiny_model.F32,
        tiny_model.F16,
        tiny_model.Q4_0,
        tiny_model.Q8_0,
    }
    assert all(width % 32 == 0 for tensor in tensors for width in tensor.shape)


# --- With the built library ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    if not LIBRARY_DIR.is_dir():
        pytest.skip("the native libraries are not built")
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny_model(path, chat_template=TEMPLATE, context_length=512)
    loaded = Model(load(), str(path))
    yield loaded
    loaded.close()


def test_the_library_reads_what_was_written(model: Model) -> None:
    assert model.vocab.num_tokens == tiny_model.VOCABULARY
    assert model.chat_template() == TEMPLATE
    assert model.num_layers == 2


def test_templates_have_names(tmp_path: Path) -> None:
    if not LIBRARY_DIR.is_dir():
        pytest.skip("the native libraries are not built")
    path = tmp_path / "tiny.gguf"
    write_tiny_model(path, chat_template={"": "a", "tool_use": "b"})
    named = Model(load(), str(path))
    assert (named.chat_template(), named.chat_template("tool_use")) == ("a", "b")
    assert named.chat_template("other") is None
    named.close()


@pytest.mark.parametrize(
    "text",
    [b"hello world", b"", b"who?", "\u4e2d\u6587 \U0001f600".encode(), bytes(range(1, 256))],
)
def test_any_bytes_are_tokenised_without_loss(model: Model, text: bytes) -> None:
    ids = model.vocab.tokenize(text, add_special=False, parse_special=False)
    pieces = b"".join(model.vocab.pieces[token] for token in ids)
    assert pieces.removeprefix(b" ") == text.removeprefix(b" ")


def test_it_can_have_tokens_for_filling_in_the_middle(model: Model, tmp_path: Path) -> None:
    assert model.vocab.fim_ids is None
    write_tiny_model(tmp_path / "fim.gguf", fim=True)
    filling = Model(load(), str(tmp_path / "fim.gguf"))
    ids = filling.vocab.fim_ids
    assert ids is not None
    names = [filling.vocab.control_pieces[token] for token in ids]
    assert names == [b"<fim_prefix>", b"<fim_suffix>", b"<fim_middle>"]
    padding = filling.vocab.control_pieces.index(b"<fim_pad>")
    assert padding in filling.vocab.end_of_generation_ids
    filling.close()


def test_words_merge(model: Model) -> None:
    ids = model.vocab.tokenize(b"hello world", add_special=True, parse_special=False)
    assert [model.vocab.pieces[token] for token in ids[1:]] == [b" hello", b" world"]
    assert ids[0] == model.vocab.bos_id == 1


def test_a_prompt_and_single_tokens_give_finite_logits(model: Model) -> None:
    options = ContextOptions(
        num_cells=512, num_sequences=1, batch_size=64, ubatch_size=64, num_threads=2
    )
    context, batch = Context(model, options), Batch(64)
    prompt = model.vocab.tokenize(b"hello world, who are you", add_special=True, parse_special=True)
    position, chosen = 0, []
    tokens = prompt
    for _ in range(8):
        batch.clear()
        batch.append(tokens, position, 0, True)
        context.decode(batch)
        logits = context.logits(1)[0]
        assert np.isfinite(logits).all() and 0.1 < logits.std() < 10
        position += len(tokens)
        tokens = [int(logits.argmax())]
        chosen += tokens
    assert len(set(chosen)) > 1
    context.close()
