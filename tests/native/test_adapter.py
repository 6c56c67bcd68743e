"""Adapters in a context, without an engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cria.errors import ModelFileError
from cria.native import library
from cria.native.adapter import LoraAdapter, set_adapters, set_control_vector
from cria.native.batch import Batch
from cria.native.context import Context, ContextOptions
from cria.native.model import Model
from tests.adapter_files import random_halves, write_adapter


def first_logits(context: Context) -> list[float]:
    context.clear()
    batch = Batch(context.batch_size)
    batch.append([5, 6, 7], 0, 0, True)
    context.decode(batch)
    found: list[float] = context.logits(1)[0].tolist()
    return found


def test_adapters_and_vectors_act_and_leave_nothing_behind(tiny_gguf: Path, tmp_path: Path) -> None:
    model = Model(library.load(), str(tiny_gguf))
    context = Context(
        model,
        ContextOptions(
            num_cells=256, num_sequences=1, batch_size=64, ubatch_size=64, num_threads=1
        ),
    )
    plain = first_logits(context)
    path = write_adapter(tmp_path / "one.gguf", random_halves(tiny_gguf, 1))
    adapter = LoraAdapter(model, str(path))
    set_adapters(model.library, context, [(adapter, 1.0)])
    acting = first_logits(context)
    assert acting != plain
    set_adapters(model.library, context, [(adapter, 0.0)])
    assert first_logits(context) == plain
    set_adapters(model.library, context, [])
    adapter.close()
    assert first_logits(context) == plain
    set_control_vector(model.library, context, np.ones((1, 128), np.float32), (1, 1))
    assert first_logits(context) != plain


def test_what_llama_cpp_refuses_is_a_sentence(tiny_gguf: Path, tmp_path: Path) -> None:
    model = Model(library.load(), str(tiny_gguf))
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        LoraAdapter(model, str(tmp_path / "none"))
