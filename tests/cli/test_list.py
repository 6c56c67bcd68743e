from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from cria.cli import cria as group
from tests.model_store.conftest import MODEL, cache

__all__ = ["cache"]


def listed(*args: str) -> str:
    done = CliRunner().invoke(group, ["list", *args], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_nothing(cache: Path) -> None:
    assert listed().split() == ["name", "size", "weights", "fetched"]
    assert json.loads(listed("--json")) == []


def test_models_good_and_damaged(cache: Path) -> None:
    folder = cache / "hub" / "o" / "r"
    folder.mkdir(parents=True)
    (folder / "a.gguf").write_bytes(MODEL)
    (folder / "b.gguf").write_bytes(b"nothing")
    _, good, bad = listed().splitlines()
    assert good.startswith("hf:o/r:a.gguf") and "damaged" not in good
    assert bad.startswith("hf:o/r:b.gguf") and "damaged" in bad
    facts = json.loads(listed("--json"))
    assert facts[0]["num_bytes"] == len(MODEL) and facts[0]["path"] == str(folder / "a.gguf")
