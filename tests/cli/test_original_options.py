"""Every flag and variable in `docs/original.md` is what its table says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.conftest import RecordingServer

Run = Callable[..., Result]

PAGE = (Path(__file__).parents[2] / "docs" / "original.md").read_text()
TABLE = PAGE.partition("## Flags and variables")[2].partition("\n## ")[0]
ROWS = [line.split("|")[1:5] for line in TABLE.splitlines() if re.match(r"\| [`|]", line)]
VALUES = {
    "--model-architecture": ["llama"],
    "--host": ["::1"],
    "--port": ["7"],
    "--context-size": ["99"],
    "--gpu-layers": ["3"],
    "--lora-adapters": ["adapter.gguf"],
    "--n-gqa": ["8"],
    **{name: ["x"] for name in ("--tokenizer-path", "--tokenizer-repository")},
    "--zipkin-endpoint": ["http://zipkin:9411/api/v2/spans"],
}
SWITCHES = {"CRIA_PREFER_MMAP", "CRIA_USE_GPU"}
FLAGS = [
    (flag, words[-1], status.strip())
    for flags, _, status, _ in ROWS
    if (words := re.findall(r"`(-[\w-]+)`", flags))
    for flag in words
]
VARIABLES = [
    (variable, words[-1] if words else "", status.strip())
    for flags, variables, status, _ in ROWS
    for words in [re.findall(r"`(-[\w-]+)`", flags)]
    for variable in re.findall(r"`(\w+)`", variables)
]


def test_the_table_is_read() -> None:
    assert (len(FLAGS), len(VARIABLES)) == (26, 14)


@pytest.mark.parametrize(("flag", "name", "status"), FLAGS)
def test_a_flag(
    run: Run, server: RecordingServer, model: str, flag: str, name: str, status: str
) -> None:
    values = [model] if name == "--model" else VALUES.get(name, [])
    argument = [] if name in ("--model", "--help") else [model]
    result = run("serve", *argument, flag, *values)
    if status == "for old files":
        assert "only for files from before GGUF" in str(result.exception)
    elif status == "accepted":
        assert result.exit_code == 0, result.output
        assert ("serve" in server.calls) == (name != "--help")
    else:
        assert result.exit_code == 2
        assert f"{name}: " in result.output and "Leave it out" in result.output


@pytest.mark.parametrize(("variable", "name", "status"), VARIABLES)
def test_a_variable(
    run: Run, server: RecordingServer, model: str, variable: str, name: str, status: str
) -> None:
    value = "true" if variable in SWITCHES else VALUES.get(name, ["x"])[0]
    argument = [model]
    if name == "--model":
        value, argument = model, []
    result = run("serve", *argument, **{variable: value})
    is_warning = variable in ("CRIA_ZIPKIN_ENDPOINT", "CRIA_SERVICE_NAME")
    if status == "refused" and not is_warning:
        assert result.exit_code == 2 and f"{variable}: " in result.output
        return
    if status == "for old files":
        assert "only for files from before GGUF" in str(result.exception)
        return
    assert result.exit_code == 0, result.output
    assert "serve" in server.calls
    assert (f"Warning: {variable} has no effect" in result.output) == is_warning


def test_an_architecture_that_is_no_llama_is_told(run: Run, model: str) -> None:
    told = "Warning: --model-architecture gptj decides nothing"
    assert told in run("-a", "gptj", "--model", model).output
    assert "Warning" not in run("-a", "LLaMA", "--model", model).output


def test_an_empty_variable_is_none(run: Run, model: str) -> None:
    empty = {"CRIA_ZIPKIN_ENDPOINT": "", "CRIA_TOKENIZER_PATH": ""}
    result = run("serve", model, **empty)
    assert result.exit_code == 0 and "Warning" not in result.output
