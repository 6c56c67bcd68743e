"""Clients in JavaScript: each file of `node/` is run by Node's own test runner."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Greeting
from tests.clients.marks import CLIENT
from tests.real_server import RealServer

pytestmark = CLIENT

HERE = Path(__file__).parent / "node"
FILES = sorted(path.name for path in HERE.glob("*.test.mjs"))


@pytest.mark.parametrize("name", FILES)
def test_file(name: str, server: RealServer, greeting: Greeting) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", name],
        cwd=HERE,
        env={
            **os.environ,
            "CRIA_URL": server.url,
            "CRIA_GREETING": json.dumps(greeting._asdict()),
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^# (tests|pass|skipped) (\d+)$", done.stdout, re.MULTILINE))
    written = len(re.findall(r"^test\(", (HERE / name).read_text(), re.MULTILINE))
    assert counts == {"tests": str(written), "pass": str(written), "skipped": "0"}


def test_there_are_files() -> None:
    assert len(FILES) >= 3
