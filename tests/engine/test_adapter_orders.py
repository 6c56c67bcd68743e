"""Orders between two steps, over a real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria.adapter_set import BASE, AdapterSet, make_set
from cria.config import EngineConfig
from cria.engine import adapter_shelf
from cria.engine.adapter_orders import AdapterOrders
from cria.engine.loaded_model import LoadedModel
from cria.ipc.messages import AdapterLoaded, LoadAdapter, UnloadAdapter
from tests.adapter_files import random_halves, write_adapter


class Runner:
    """Notes what acts."""

    def __init__(self) -> None:
        self.used: list[AdapterSet] = []

    def use_adapters(self, adapters: AdapterSet) -> None:
        self.used.append(adapters)


def test_load_use_and_let_go(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_shelf, "GRACE_SECONDS", 0.0)
    path = str(write_adapter(tmp_path / "one.gguf", random_halves(tiny_gguf, 1)))
    runner = Runner()
    orders = AdapterOrders(LoadedModel(EngineConfig(str(tiny_gguf))), runner)
    wanted = make_set({3: 1.0})
    assert orders.why_not(BASE) is None
    assert orders.why_not(wanted) == "its adapter 3 is not loaded"
    assert orders.carry_out(LoadAdapter(7, 3, path)) == AdapterLoaded(7)
    failure = orders.carry_out(LoadAdapter(8, 4, str(tmp_path / "none")))
    assert failure is not None and failure.error is not None and "none" in failure.error
    assert orders.why_not(wanted) is None
    assert orders.carry_out(UnloadAdapter(-1, 3)) is None
    orders.tidy(lambda number: number == 3)
    assert orders.why_not(wanted) is None
    orders.tidy(lambda _: False)
    assert runner.used == [BASE]
    assert orders.why_not(wanted) is not None
