"""The script as a process: it runs anywhere on a bare Python, and ends quietly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import build_native

SCRIPT = Path(build_native.__file__)

MAIN = """
import pathlib, sys
import build_native
from cria_build import paths
paths.LIB = pathlib.Path(sys.argv.pop(1))
sys.exit(build_native.main())
"""


def test_it_runs_anywhere_on_a_bare_python(tmp_path: Path) -> None:
    # -I -S: neither the current folder, nor the environment, nor anything that is installed.
    command = [sys.executable, "-I", "-S", "-W", "error", str(SCRIPT), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--cuda-arch" in done.stdout


def run_with_closed_pipe(*arguments: str) -> tuple[int, str]:
    """The exit code, and what is said about nobody reading the output."""
    # Unbuffered output fails at once; what has to be tested is output that fails at the end.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=SCRIPT.parent, env=env,
            stdout=writer, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("rows", [1, 10_000], ids=["in one buffer", "in many"])
def test_a_closed_pipe_is_quiet(tmp_path: Path, rows: int) -> None:
    info = {f"name{row}": "value" for row in range(rows)}
    (tmp_path / "BUILD_INFO.json").write_text(json.dumps(info))
    ended = run_with_closed_pipe("-c", MAIN, str(tmp_path), "--info")
    assert ended == (128 + signal.SIGPIPE, "")


def test_help_for_nobody_is_quiet() -> None:
    assert run_with_closed_pipe(str(SCRIPT), "--help") == (128 + signal.SIGPIPE, "")


def test_a_build_for_nobody_is_quiet(tmp_path: Path) -> None:
    arguments = ("-D", "LLAMA_CURL=ON", "--source", str(tmp_path))
    ended = run_with_closed_pipe("-c", MAIN, str(tmp_path / "lib"), *arguments)
    assert ended == (128 + signal.SIGPIPE, "")


def test_a_signal_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        build_native.interrupt(signal.SIGTERM, None)


def test_an_error_of_the_system_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(options: object) -> int:
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr(build_native, "build", build)
    assert build_native.main([]) == 1
    assert capsys.readouterr().err == "build_native.py: Permission denied: /somewhere.\n"
