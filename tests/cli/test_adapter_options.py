"""The options, parsed by click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cria.cli.adapter_options import adapter_options
from cria.config import Adapter, ControlVector


def parse(*words: str, **environment: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    @click.command()
    @adapter_options
    def command(**options: Any) -> None:
        found.update(options)

    result = CliRunner().invoke(command, words, env=environment)
    if result.exit_code:
        raise ValueError(result.output)
    return found


def test_files_names_and_scales() -> None:
    found = parse("--lora", "/x/a.gguf", "-l", "b=/x/c.gguf:0.5,/x/d.gguf:-1e-1")
    assert found["adapters"] == (
        Adapter("/x/a.gguf", "a"),
        Adapter("/x/c.gguf", "b", 0.5),
        Adapter("/x/d.gguf", "d", -0.1),
    )
    assert parse()["adapters"] == ()
    assert parse(CRIA_LORA_ADAPTERS="/x/a.gguf,/x/b.gguf:2")["adapters"] == (
        Adapter("/x/a.gguf", "a"),
        Adapter("/x/b.gguf", "b", 2.0),
    )
    found = parse("--control-vector", "/v.gguf:3", "--control-vector-layer-range", "1", "4")
    assert found["control_vectors"] == (ControlVector("/v.gguf", 3.0),)
    assert found["control_vector_layers"] == (1, 4)


def test_a_file_with_a_colon_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a:1"
    path.write_bytes(b"")
    assert parse("--lora", f"x={path}")["adapters"] == (Adapter(str(path), "x"),)


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("/a.gguf:1e9", "no scale"),
        ("/a.gguf:1.2.3", "no scale"),
        ("/a b.gguf", "no name"),
        ("/a.gguf,/x/a.gguf", "two adapters"),
        ("", "names no file"),
    ],
)
def test_mistakes(word: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse("--lora", word)
