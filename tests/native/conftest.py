from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cria.native import library
from cria.native.context import Context, ContextOptions
from cria.native.library import Library
from cria.native.model import Model


@pytest.fixture(scope="session")
def native() -> Library:
    """The built libraries."""
    return library.load()


@pytest.fixture(scope="session")
def tiny_model(native: Library, tiny_gguf: Path) -> Model:
    return Model(native, str(tiny_gguf))


OPTIONS = ContextOptions(
    num_cells=512, num_sequences=4, batch_size=64, ubatch_size=64, num_threads=2
)


@pytest.fixture
def context(tiny_model: Model) -> Iterator[Context]:
    context = Context(tiny_model, OPTIONS)
    yield context
    context.close()
