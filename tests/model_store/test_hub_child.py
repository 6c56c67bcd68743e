"""The process that asks the hub; what it is told and tells is tried through `test_hub`."""

from __future__ import annotations

import os
import subprocess
import sys

from cria.model_store.hub_messages import Failure, decode
from tests.model_store.file_server import FileServer


def test_one_line_whatever_happens(server: FileServer) -> None:
    server.answers["/api/models/org/repo"] = ["no", "such", "answer"]
    done = subprocess.run(
        [sys.executable, "-m", "cria.model_store.hub_child", "org/repo"],
        env={**os.environ, "HF_ENDPOINT": server.url},
        capture_output=True,
    )
    assert done.stdout.count(b"\n") == 1
    answer = decode(done.stdout)
    assert isinstance(answer, Failure) and answer.kind == "unreachable"
