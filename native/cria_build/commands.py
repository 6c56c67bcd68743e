"""Short commands that are asked a question: no failure is an error here, only an empty answer.

The long ones, which build and fetch, run in `console`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def output_of(*command: str | Path) -> str:
    """A short command's output; an empty string if it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def version_of(*command: str | Path) -> tuple[int, ...]:
    match = re.search(r"(\d+)\.(\d+)", output_of(*command, "--version"))
    return (int(match[1]), int(match[2])) if match else ()
