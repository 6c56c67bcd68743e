"""What fits, by the file and by what is free."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria.config import EngineConfig
from cria.generation import room
from cria.generation.room import Room, free_bytes, need_of


def test_weights_that_are_mapped_are_not_given_away_twice(tiny_gguf: Path) -> None:
    config = EngineConfig(str(tiny_gguf), context_size=512)
    need = need_of(config)
    assert need is not None
    assert Room(lambda: need.total).fits(config, [])
    assert not Room(lambda: need.total - 1).fits(config, [])
    assert not Room(lambda: need.total).fits(config, [config])
    assert Room(lambda: need.total + need.weights).fits(config, [config])


def test_a_file_that_cannot_be_read_may_be_tried(tmp_path: Path) -> None:
    config = EngineConfig(str(tmp_path / "none.gguf"))
    assert not Room().knows(config)
    assert Room(lambda: 0).fits(config, [])


def test_a_container_has_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable: 10 kB\n")
    monkeypatch.setattr(room, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(room, "CONTROL_GROUP", tmp_path)
    assert free_bytes() == 10240
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes() == 10240
    (tmp_path / "memory.max").write_text("6000\n")
    assert free_bytes() == 5000
