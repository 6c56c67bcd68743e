from __future__ import annotations

import os

from cria.native import devices
from cria.native.library import Library


def test_cores_are_at_most_the_processors() -> None:
    assert 1 <= devices.num_cores() <= (os.cpu_count() or 1)


def test_free_memory_is_plausible() -> None:
    assert 100 * 2**20 < devices.free_main_memory() < 2**50


def test_gpus_have_names_and_memory(native: Library) -> None:
    for gpu in devices.gpus(native):
        assert gpu.name and gpu.description and gpu.free_bytes > 0
