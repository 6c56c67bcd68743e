"""`python -m tests.server.fake_server [SETTINGS]`: the real server process over a fake generation.

SETTINGS is JSON: fields of ServerConfig, `api_keys` in plain text, `load_error` for a model that
cannot be loaded, `loading` for one that takes for ever. Prints what `cria serve` prints; `running`
in /health counts the runs that nobody has ended.
"""

# ruff: noqa: E402, I001 - serve patches the standard library, so it comes first.
from cria.server import serve

import json
import sys
import threading
from typing import Any

from cria.access_key import hashed
from cria.config import EngineConfig, ModelEntry, ServerConfig
from cria.errors import SetupError
from cria.generation.engine_status import EngineStatus
from cria.api.events import ChoiceDelta, ChoiceFinished, Heartbeat
from tests.fakes import HELLO, SILENCE, FakeGeneration, Script

gate = threading.Event()

SCRIPTS: dict[str, Script] = {
    "silent": [SILENCE],
    "one then silent": [ChoiceDelta(0, "first"), SILENCE],
    "gated": [ChoiceDelta(0, "first"), lambda: gate.wait(30), ChoiceFinished(0, "stop")],
    "open the gate": [gate.set, *HELLO],
    "long": [Heartbeat(), *[ChoiceDelta(0, "x")] * 2000, ChoiceFinished(0, "length")],
    "endless": [ChoiceDelta(0, "x" * 4096)] * 1_000_000,
}


class OpenedGeneration(FakeGeneration):
    """What `Generation.open` gives."""

    load_error: str | None = None
    loading = False

    @classmethod
    def open(cls, *_: Any, offload: Any, **__: Any) -> FakeGeneration:
        assert offload(len, "abc") == 3
        generation = cls(SCRIPTS)
        if cls.load_error:
            generation.refusal = SetupError(cls.load_error)
        if cls.loading:
            generation.engine = EngineStatus("loading")
        return generation

    def wait_ready(self, timeout: float | None = None) -> None:
        if self.loading:
            gate.wait()
        super().wait_ready(timeout)


def main() -> None:
    settings = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    OpenedGeneration.load_error = settings.pop("load_error", None)
    OpenedGeneration.loading = settings.pop("loading", False)
    serve.Generation = OpenedGeneration  # type: ignore[misc,assignment]
    settings["keys"] = tuple(map(hashed, settings.pop("api_keys", ())))
    config = ServerConfig(allowed_hosts=("t", "test"), **{"port": 0, **settings})
    serve.prepare(config.log_level)
    listener = serve.bind(config.host, config.port)
    entries = (ModelEntry(EngineConfig(""), config),)
    serve.serve(listener, entries, config, lambda text: print(text, flush=True))


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(str(error))
