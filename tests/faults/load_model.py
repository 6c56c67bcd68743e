"""`python -m tests.faults.load_model FILE...`: all that is done with a file before it is served.

Says for each file what came of it, one line of JSON. Ends by a signal if llama.cpp does.
"""

from __future__ import annotations

import json
import sys

from cria.config import EngineConfig
from cria.engine.__main__ import make_embedder, make_runner
from cria.engine.loaded_model import LoadedModel
from cria.errors import CriaError
from cria.prompt.loading import load_text_side


def main() -> None:
    for path in sys.argv[1:]:
        try:
            tokenizer = load_text_side(path).tokenizer
            tokenizer.encode_text("Hi there\n")
            loaded = LoadedModel(EngineConfig(path, num_slots=1, num_threads=1))
            make_runner(loaded)
            make_embedder(loaded)
            outcome = ""
        except CriaError as error:
            outcome = str(error)
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
