"""A server that ends with its standard input."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.real_server import REPOSITORY

PROGRAM = """
import os, signal, threading
from cria.cli import lifeline
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
lifeline._thread.start_new_thread(lifeline.end_with, (0,))
print("up", flush=True)
while True: signal.pause()
"""


@pytest.mark.parametrize("last_words", [b"", b"more\n" * 5000])
def test_it_is_told_to_end(last_words: bytes) -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        process.stdin.write(last_words)
        process.stdin.close()
        assert process.wait(20) == 7
