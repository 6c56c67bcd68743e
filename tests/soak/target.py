"""The server under test: one that can be stopped and started again on the same port."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

import psutil
import requests

from cria.native.tiny_model import write_tiny_model
from tests.faults.same_state import Question, engine_health, find_engine
from tests.real_server import RealServer, wait_for
from tests.soak.mix import MODEL
from tests.soak.settings import KEY, Settings

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Target:
    """The server, and what is known of it across restarts."""

    def __init__(self, folder: Path, settings: Settings, options: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._model = folder / "tiny.gguf"
        self._port = free_port()
        self._stack = contextlib.ExitStack()
        self._options = (
            *("--alias", MODEL, "--api-key", KEY),
            *("--parallel", str(settings.num_slots), "--context-size", str(settings.context_size)),
            *("--log-level", "debug"),
            *options,
        )
        self.logs: list[Path] = []
        self.load_seconds = 0.0
        write_tiny_model(self._model, chat_template=TEMPLATE)
        self.server = self._start()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self._port)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def question(self) -> Question:
        """What the canary is asked."""
        return Question(self.url, {"Authorization": f"Bearer {KEY}"}, MODEL)

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.server.process.pid)

    def engine(self) -> psutil.Process | None:
        """None between two engines."""
        try:
            return find_engine(self.process)
        except psutil.Error:
            return None

    def health(self) -> dict[str, object] | None:
        """The engine's counters; None if there is no answer, or not that one."""
        try:
            return engine_health(self.url)
        except requests.RequestException:
            return None

    def restart(self) -> int:
        """SIGTERM, and a new one when the old one has ended; the old one's exit code."""
        old = self.server.process
        self._stack.close()
        self.server = self._start()
        return old.returncode

    def close(self) -> None:
        self._stack.close()

    def _start(self) -> RealServer:
        self.logs.append(self._folder / f"server-{len(self.logs)}.log")
        began = time.monotonic()
        # The last --port wins over the free one that it asks for.
        options = (*self._options, "--port", str(self._port))
        running = self._stack.enter_context(
            RealServer.start(self._model, *options, log=self.logs[-1])
        )
        wait_for(lambda: engine_health(running.url), bool, "the first engine", 120)
        self.load_seconds = self.load_seconds or time.monotonic() - began
        return running


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
