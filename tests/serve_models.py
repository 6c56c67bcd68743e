"""`python -m tests.serve_models JSON`: a real server with several models, from settings alone.

JSON: `models`, each with `engine` and `server` fields, `pinned` and `keep_alive`; `server` for all.
"""

# ruff: noqa: E402, I001 - serve patches the standard library, so it comes first.
from cria.server import serve

import json
import sys
from typing import Any

from cria.access_key import hashed
from cria.config import EngineConfig, ModelEntry, ServerConfig
from cria.errors import CriaError


def main(settings: dict[str, Any]) -> None:
    shared = {"port": 0, **settings.get("server", {})}
    shared["keys"] = tuple(hashed(k.pop("secret"), **k) for k in shared.pop("keys", ()))
    config = ServerConfig(**shared)
    serve.prepare(config.log_level)
    listener = serve.bind(config.host, config.port)
    entries = [
        ModelEntry(
            EngineConfig(**{"context_size": 512, "num_slots": 4, **model["engine"]}),
            ServerConfig(**{**shared, "aliases": tuple(model["names"])}),
            pinned=model.get("pinned", False),
            keep_alive=model.get("keep_alive"),
        )
        for model in settings["models"]
    ]
    serve.serve(listener, entries, config, lambda text: print(text, flush=True))


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except CriaError as error:
        sys.exit(str(error))
