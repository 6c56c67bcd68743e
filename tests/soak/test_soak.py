"""Two minutes of it; `python -m tests.soak` takes longer and asks for more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.soak.report import as_table, write_json
from tests.soak.settings import Limits, Settings
from tests.soak.soak import run_soak

BUSY = 8.0
"""How many times longer than on a quiet machine an answer may take: other programs run too."""


@pytest.mark.soak
@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_minutes_of_load_and_faults(tmp_path: Path) -> None:
    minutes = float(os.environ.get("CRIA_SOAK_MINUTES", "2"))
    settings = Settings(minutes=minutes, disturb_seconds=20, limits=Limits().times(BUSY))
    figures = run_soak(settings, tmp_path)
    write_json(figures, tmp_path / "soak.json")
    table = as_table(figures)
    print(f"\n{table}")
    assert not figures.problems, table
    assert {fault.kind for fault in figures.faults} == set(settings.disturbances)
    assert len(figures.records) > 100
