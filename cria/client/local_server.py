"""`LocalServer`: a `cria serve` of our own, for us alone and no longer than us.

1. It listens on a free port of the loopback address and wants a key that only we have.
2. It has a session of its own, so that a terminal's Ctrl-C is for us; its standard input is a pipe
   that we hold. It ends when that closes: however we end, SIGKILL included, the kernel closes it.
3. Its log goes to a file without a name, out of which comes the sentence if it fails.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress

from cria.client.api import Api
from cria.errors import ModelFileError, SetupError

EXIT_SECONDS = 5.0
MODEL_FILE_CODE = 3
"""The exit code of a server whose model cannot be served."""
LOG_BYTES = 16 * 1024
NOT_INHERITED = frozenset(
    f"CRIA_{name}"
    for name in (
        *("API_KEY_FILE", "TLS_CERT", "TLS_KEY", "WORKERS", "ALIAS", "MODEL", "MODEL_PATH"),
        *("RATE_LIMIT_REQUESTS", "RATE_LIMIT_TOKENS", "RESPONSE_STORE", "DRAIN_DELAY"),
    )
)
"""Settings of the user's other servers: who may ask, and how. What concerns the model stays."""


class LocalServer:
    """Started when it is first needed, and again if it has ended."""

    def __init__(self, spec: str) -> None:
        """`spec` is what `cria serve` takes as MODEL."""
        self._spec = spec
        self._process: subprocess.Popen[str] | None = None
        self._api: Api | None = None

    def api(self) -> Api:
        """The running server; SetupError or ModelFileError if it cannot run."""
        if self._api is None or self._process is None or self._process.poll() is not None:
            self.close()
            self._api = self._start()
        return self._api

    def close(self) -> None:
        """End it, and wait for that."""
        if self._api is not None:
            self._api.close()
        if self._process is not None:
            _end(self._process)
        self._api = self._process = None

    def _start(self) -> Api:
        key = secrets.token_urlsafe(32)
        with tempfile.TemporaryFile() as log:
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "cria", *arguments(self._spec)],
                env=environment(os.environ, key),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            assert process.stdout is not None
            found = re.search(r"http://\S+(?=/v1)", process.stdout.readline())
            if found is None:
                code = process.wait()
                log.seek(-min(LOG_BYTES, log.tell()), os.SEEK_END)
                raise failure(code, log.read().decode(errors="replace"))
        return Api(found[0], key, is_own=True)


def arguments(spec: str) -> list[str]:
    """Behind `cria`; options that the environment must not change."""
    address = ["--host", "127.0.0.1", "--port", "0"]
    return ["serve", *address, "--end-with-stdin", "--", spec]


def environment(given: Mapping[str, str], key: str) -> dict[str, str]:
    """Of the child: one caller needs one sequence, and the key is in no list of processes."""
    kept = {name: value for name, value in given.items() if name not in NOT_INHERITED}
    return {"CRIA_PARALLEL": "1", **kept, "CRIA_API_KEY": key, "CRIA_RESPONSE_STORE": "none"}


def failure(code: int, log: str) -> SetupError:
    """What the server says of its end, if it says something."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    told = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    if told and code == MODEL_FILE_CODE:
        return ModelFileError(told[-1])
    last = (
        told[-1]
        if told
        else f"The server ended with code {code}" + (f": {lines[-1]}" if lines else ".")
    )
    return SetupError(last)


def _end(process: subprocess.Popen[str]) -> None:
    """Also when Ctrl-C comes meanwhile: it has been told by then."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()
