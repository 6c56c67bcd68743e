from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cria.cli import cria as group
from cria.errors import ModelFileError
from tests.model_store.conftest import MODEL, cache

__all__ = ["cache"]


@pytest.fixture
def kept(cache: Path) -> Path:
    path = cache / "hub" / "o" / "r" / "a.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(MODEL)
    return path


def test_it_asks_first(kept: Path) -> None:
    refused = CliRunner().invoke(group, ["rm", "hf:o/r:a.gguf"], input="n\n")
    assert refused.exit_code == 1 and kept.exists()
    done = CliRunner().invoke(group, ["rm", "hf:o/r:a.gguf"], input="y\n")
    assert done.exit_code == 0 and not kept.exists()


def test_without_asking(kept: Path) -> None:
    done = CliRunner().invoke(group, ["rm", str(kept), "--yes"])
    assert done.stdout == f"Removed {kept}.\n" and not kept.exists()


@pytest.mark.parametrize(("name", "words"), [("nothing", "cria list"), ("ollama:x", "ollama rm")])
def test_what_is_not_ours(cache: Path, name: str, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        CliRunner().invoke(group, ["rm", name, "-y"], catch_exceptions=False)
