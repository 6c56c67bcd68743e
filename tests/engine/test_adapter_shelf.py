"""Which adapters an engine has; the rest is in `tests/integration/test_adapters.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cria.adapter_set import make_set
from cria.config import Adapter, ControlVector, EngineConfig
from cria.engine.adapter_shelf import GRACE_SECONDS, AdapterShelf
from cria.engine.loaded_model import LoadedModel
from cria.errors import ModelFileError, SetupError
from tests.adapter_files import random_halves, write_adapter, write_control_vector


@pytest.fixture
def adapter(tiny_gguf: Path, tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "one.gguf", random_halves(tiny_gguf, 1))


def test_an_adapter_stays_while_it_is_needed_and_a_moment_longer(
    tiny_gguf: Path, adapter: Path
) -> None:
    loaded = LoadedModel(EngineConfig(str(tiny_gguf), adapters=(Adapter(str(adapter), "one"),)))
    shelf = loaded.adapters
    assert shelf.why_not(make_set({0: 1})) is None
    assert shelf.why_not(make_set({0: 1, 5: 1})) == "its adapter 5 is not loaded"
    shelf.load(loaded.model, 5, str(adapter))
    assert shelf.why_not(make_set({0: 1, 5: 1})) is None
    shelf.unload(5, now=10.0)
    shelf.unload(77, now=10.0)
    assert shelf.ready_to_go(10.0, lambda _: False) == []
    later = 10.0 + GRACE_SECONDS
    assert shelf.ready_to_go(later, lambda number: number == 5) == []
    assert shelf.ready_to_go(later, lambda _: False) == [5]
    shelf.free(5)
    assert shelf.is_at_rest
    assert shelf.why_not(make_set({5: 1})) is not None


def test_a_bad_file_is_a_sentence_before_the_model_is_loaded(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match="bad cannot be used"):
        AdapterShelf(EngineConfig(str(tiny_gguf), adapters=(Adapter(str(tmp_path / "bad"), "x"),)))


def test_layers_of_control_vectors_are_checked(tiny_gguf: Path, tmp_path: Path) -> None:
    path = write_control_vector(tmp_path / "v.gguf", {1: np.ones(128, np.float32)})
    vectors = (ControlVector(str(path)),)
    AdapterShelf(
        EngineConfig(str(tiny_gguf), control_vectors=vectors, control_vector_layers=(1, 1))
    )
    with pytest.raises(SetupError, match="layers 1 to 1"):
        AdapterShelf(
            EngineConfig(str(tiny_gguf), control_vectors=vectors, control_vector_layers=(1, 2))
        )
