"""`cria show`: a model's sizes and skills, and whether it fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cria.cli import cria as group
from cria.cli.show import command
from cria.errors import ModelFileError
from cria.native.tiny_model import write_tiny_model
from tests.model_file.building import gguf

pytestmark = pytest.mark.integration


def shown(*args: str) -> str:
    done = CliRunner().invoke(command, list(args), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_for_people(tiny_gguf: Path) -> None:
    text = shown(str(tiny_gguf))
    assert "architecture    llama" in text and "chat            by its template" in text
    assert "fits            yes" in text and "--" not in text


def test_for_programs(tiny_gguf: Path) -> None:
    found = json.loads(shown(str(tiny_gguf), "--json", "-c", "256", "--parallel", "2"))
    assert found["plan"] == {
        "context_size": 256,
        "num_slots": 2,
        "cache_type_k": "f16",
        "cache_type_v": "f16",
    }
    assert found["memory"]["total"] == sum(
        found["memory"][part] for part in ("weights", "cache", "compute")
    )
    assert found["fits"] and found["chat"]["chats"] and found["smaller_plan"] is None


def test_what_would_fit_is_said(tiny_gguf: Path) -> None:
    text = shown(str(tiny_gguf), "-c", "2000000000", "--parallel", "256")
    assert "fits            no" in text and "--parallel 1 --context-size" in text


def test_a_split_set_is_one_model(tmp_path: Path) -> None:
    first = tmp_path / "m-00001-of-00002.gguf"
    first.write_bytes(gguf({"general.architecture": "llama", "split.count": 2, "split.no": 0}))
    with pytest.raises(ModelFileError, match="m-00002-of-00002"):
        shown(str(first))


def test_what_is_not_here_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelFileError, match="cria pull smollm2"):
        shown("smollm2")
    with pytest.raises(ModelFileError, match="no file nothing"):
        shown("nothing")
    assert not list(tmp_path.iterdir())


def test_texts_of_a_file_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.gguf"
    write_tiny_model(path)
    assert "\x1b" not in shown(str(path))


def test_help_and_the_list_of_commands() -> None:
    assert "show" in CliRunner().invoke(group, ["--help"]).output
