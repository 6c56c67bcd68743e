"""The check: load the new libraries, tokenise and decode, in a child that may die of it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cria_build import paths
from cria_build.errors import BuildError

CRASHES = {signal.SIGILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE}
CHECK_SECONDS = 180
WRONG_COMPILER = 3  # the exit code of cria.native.self_check for it


@dataclass(frozen=True)
class CheckResult:
    returncode: int
    output: str

    @property
    def crash(self) -> str:
        """The signal that ended the child, if it is one that forbidden instructions lead to."""
        return signal.Signals(-self.returncode).name if -self.returncode in CRASHES else ""

    @property
    def blames_compiler(self) -> bool:
        """The libraries could never be used from Python, whatever the CPU."""
        return self.returncode == WRONG_COMPILER

    @property
    def reason(self) -> str:
        """The last line that the child printed, or what its JSON gives as the reason."""
        last = next((row for row in reversed(self.output.splitlines()) if row.strip()), "")
        with contextlib.suppress(ValueError, AttributeError):
            return str(json.loads(last).get("reason", last))
        return last or f"exit code {self.returncode}"


def run_check(staging: Path, folder: Path, log: Path) -> CheckResult:
    """Load, tokenise and decode in a child: a crash there is an answer, not our end."""
    model, vocab = folder / "tiny.gguf", folder / "vocab.gguf"
    tiny_model = load_tiny_model()
    tiny_model.write_tiny_model(model)
    tiny_model.write_tiny_vocab(vocab)
    command = [sys.executable, "-m", "cria.native.self_check", "--lib", str(staging)]
    command += ["--model", str(model), "--vocab", str(vocab)]
    env = {name: value for name, value in os.environ.items() if name != "CRIA_LIBLLAMA"}
    env.update(GGML_NO_BACKTRACE="1", PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=str(paths.ROOT))
    try:
        done = subprocess.run(
            command, cwd=paths.ROOT, env=env, timeout=CHECK_SECONDS, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BuildError(f"the check took longer than {CHECK_SECONDS} s: see {log}.") from None
    with log.open("a") as file:
        file.write(f"\n$ {shlex.join(command)}\n{done.stdout}{done.stderr}")
        file.write(f"exit code {done.returncode}\n")
    return CheckResult(done.returncode, done.stdout or done.stderr)


def load_tiny_model() -> Any:
    """Loaded by its path: importing the package may need what is not installed yet."""
    file = paths.ROOT / "cria" / "native" / "tiny_model.py"
    spec = importlib.util.spec_from_file_location("cria_tiny_model", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
