"""Who may load what; the rest is in `tests/integration/test_adapters.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria.api.lora import LoadAdapterRequest, LoraScale
from cria.config import Adapter, ServerConfig
from cria.errors import AccessDenied, EngineUnavailable, RequestError
from cria.generation.adapters import Adapters
from cria.generation.caller import ANYBODY, current_caller
from cria.generation.engine_guest import EngineGuest

WANTED = LoadAdapterRequest(lora_name="x", lora_path="x.gguf")


def adapters(tmp_path: Path, **settings: object) -> Adapters:
    config = ServerConfig(aliases=("m",), **settings)  # type: ignore[arg-type]
    return Adapters(EngineGuest(str(tmp_path / "none")), config)


def test_nobody_loads_without_a_folder(tmp_path: Path) -> None:
    found = adapters(tmp_path)
    found.adopt((), applied=True)
    with pytest.raises(AccessDenied, match="--lora-folder"):
        found.load(WANTED, "model")
    with pytest.raises(AccessDenied):
        found.unload("x")


def test_several_processes_change_nothing(tmp_path: Path) -> None:
    found = adapters(tmp_path, lora_folder=str(tmp_path), num_workers=2)
    found.adopt((Adapter("/a", "a"),), applied=True)
    for change in (
        lambda: found.load(WANTED, "model"),
        lambda: found.unload("a"),
        lambda: found.set_defaults([LoraScale(0, 1.0)]),
    ):
        with pytest.raises(RequestError, match="--workers"):
            change()


def test_keys_for_certain_models_change_nothing(tmp_path: Path) -> None:
    found = adapters(tmp_path, lora_folder=str(tmp_path))
    token = current_caller.set(ANYBODY._replace(models=("m",)))
    try:
        with pytest.raises(AccessDenied, match="key"):
            found.load(WANTED, "model")
    finally:
        current_caller.reset(token)


def test_a_process_that_has_not_heard_of_the_engine_cannot_tell(tmp_path: Path) -> None:
    found = adapters(tmp_path)
    with pytest.raises(EngineUnavailable):
        found.knows("m:one")
    assert not found.knows("other:one")
