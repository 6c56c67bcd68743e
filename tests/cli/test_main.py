"""The group: version, late imports, the original's forms, errors as sentences."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from cria import __version__
from cria.cli import with_command
from tests.cli.conftest import RecordingServer
from tests.server.process import wait_for

Run = Callable[..., Result]


def cria(*args: str) -> subprocess.CompletedProcess[str]:
    """The command as a process."""
    return subprocess.run(
        [sys.executable, "-m", "cria", *args], capture_output=True, text=True, timeout=30
    )


def test_version() -> None:
    assert cria("--version").stdout.strip() == f"cria, version {__version__}"


def test_version_loads_no_web_server() -> None:
    program = (
        "import sys, cria.cli\n"
        "try: cria.cli.cria(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'flask', 'gevent', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_model_that_cannot_be_served_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    failed = cria("serve", str(tmp_path / "nope.gguf"), "--port", "0")
    assert failed.returncode == 3
    assert failed.stderr == (
        f"Error: Cannot read the model file {tmp_path}/nope.gguf: No such file or directory.\n"
    )
    assert failed.stdout == ""


def test_a_template_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "chat.jinja"
    path.write_text("{% if %}")
    failed = cria("serve", str(tmp_path / "nope.gguf"), "--port", "0", "--chat-template", str(path))
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"Error: --chat-template {path}: it does not compile: ")
    assert failed.stderr.count("\n") == 1


def test_an_unknown_command_is_code_2() -> None:
    failed = cria("frobnicate")
    assert failed.returncode == 2
    assert "No such command 'frobnicate'" in failed.stderr


def test_serve_is_listed(run: Run) -> None:
    assert "serve" in run("--help").output


@pytest.mark.parametrize(
    "words",
    [
        ["llama-2", "MODEL", "--use-gpu", "--gpu-layers", "32"],
        ["LLAMA", "MODEL", "--use-gpu", "--gpu-layers", "32"],
        ["-a", "llama", "--model", "MODEL", "--use-gpu", "--gpu-layers", "32"],
        ["--model", "MODEL", "-u", "-g", "32", "--model-architecture", "gpt-neo-x"],
    ],
)
def test_the_forms_of_the_original(
    run: Run, server: RecordingServer, model: str, words: list[str]
) -> None:
    result = run(*[model if word == "MODEL" else word for word in words])
    assert result.exit_code == 0, result.output
    config = server.engine_config
    assert (config.model_path, config.num_gpu_layers, config.require_gpu) == (model, 32, True)


def test_the_short_options_of_the_original(run: Run, server: RecordingServer, model: str) -> None:
    run("serve", model, "-H", "::1", "-p", "7", "-c", "99", "-m")
    assert (server.config.host, server.config.port) == ("::1", 7)
    assert (server.engine_config.context_size, server.engine_config.use_mmap) == (99, True)


def test_an_unknown_architecture_is_refused(run: Run, model: str) -> None:
    result = run("-a", "qwen", "--model", model)
    assert result.exit_code == 2
    assert "'qwen' is not llama" in result.output


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], []),
        (["--help"], ["--help"]),
        (["--version"], ["--version"]),
        (["serve", "llama-2"], ["serve", "llama-2"]),
        (["llama-3.1", "f"], ["serve", "f"]),
        (["--port", "1"], ["serve", "--port", "1"]),
        (["other"], ["other"]),
    ],
)
def test_what_is_understood_as_serve(given: list[str], meant: list[str]) -> None:
    assert with_command(given) == meant


def test_a_signal_ends_a_fetch_and_leaves_nothing(tmp_path: Path) -> None:
    pip = tmp_path / "site" / "pip"
    pip.mkdir(parents=True)
    (pip / "__init__.py").touch()
    (pip / "__main__.py").write_text(
        "import os, pathlib, threading\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "threading.Event().wait()\n"
    )
    folders = {"PYTHONPATH": str(pip.parent), "XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cria", "serve", "--port", "0"],
        env={**os.environ, **folders},
        stderr=subprocess.DEVNULL,
    )
    with process:
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        process.terminate()
        assert process.wait(10) == 0
    assert os.listdir(tmp_path / "cria" / "models") == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
