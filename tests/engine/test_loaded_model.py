from __future__ import annotations

from pathlib import Path

import pytest

from cria.config import EngineConfig
from cria.engine.loaded_model import FIRST_CHUNK_CPU, LoadedModel
from cria.errors import ModelFileError
from cria.native import devices
from cria.native.library import Library


@pytest.fixture(autouse=True)
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_native: Library) -> list[devices.Device]:
        return []

    monkeypatch.setattr(devices, "gpus", none)


def test_it_tells_what_it_is_on(tiny_gguf: Path) -> None:
    seen: list[float] = []
    loaded = LoadedModel(EngineConfig(str(tiny_gguf), num_threads=3), seen.append)
    ready = loaded.ready(
        num_slots=2, context_size=32, num_cells=64, warnings=["w"], kv_layout="streams"
    )
    assert (ready.device, ready.num_threads, ready.num_gpu_layers) == ("CPU", 3, 0)
    assert (ready.num_slots, ready.context_size, ready.num_cells) == (2, 32, 64)
    assert (ready.warnings, ready.can_generate) == (["w"], True)
    assert seen[-1] == 1.0
    assert loaded.free_bytes() > 0


@pytest.mark.parametrize(
    ("settings", "warns"),
    [
        ({}, False),
        ({"num_gpu_layers": 0}, False),
        ({"num_gpu_layers": 3}, True),
        ({"require_gpu": True}, True),
    ],
)
def test_a_gpu_that_is_not_there_is_a_warning(
    tiny_gguf: Path, settings: dict[str, int], warns: bool
) -> None:
    loaded = LoadedModel(EngineConfig(str(tiny_gguf), **settings))  # type: ignore[arg-type]
    assert bool(loaded.warnings) is warns
    assert not loaded.has_gpu


def test_a_share_of_the_longest_pause(tiny_gguf: Path) -> None:
    loaded = LoadedModel(EngineConfig(str(tiny_gguf), max_stall_ms=1000))
    chunks = []
    for share in (1.0, 0.5):
        pacer = loaded.make_pacer(share)
        assert pacer.chunk == FIRST_CHUNK_CPU
        pacer.observe(0, 1000, 1.0)
        chunks.append(pacer.chunk)
    assert chunks == [800, 400]


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="No such file"):
        LoadedModel(EngineConfig(str(tmp_path / "none.gguf")))
