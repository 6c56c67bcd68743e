"""What is logged and shown of long commands."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from cria_build.console import duration


def test_output_is_logged_and_progress_sparse(
    console: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    console.step(4, "compile")
    for percent in range(101):
        console.percent(percent)
    assert capsys.readouterr().out.count("\n") == 6
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    code, lines = console.run([sys.executable, "-c", script], dict(os.environ))
    assert code == 3 and sorted(lines) == ["err", "out"]
    assert "out" in console.log.read_text()


def test_an_interrupted_command_is_ended(console: Any) -> None:
    children = []

    def interrupt(line: str) -> None:
        children.append(int(line))
        raise KeyboardInterrupt

    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        console.run([sys.executable, "-c", script], dict(os.environ), interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)


@pytest.mark.parametrize(("seconds", "text"), [(5.9, "5s"), (72, "1m12s"), (600, "10m00s")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
