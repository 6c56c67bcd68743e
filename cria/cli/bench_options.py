"""The options of `cria bench`, one row each.

A parameter is named as the field of `cria.bench.settings` that it sets; what no field has is read
by `cli.bench`. The variables begin with `CRIA_BENCH_`, so that none of them is one of `cria serve`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from cria.bench.settings import OPEN_REQUESTS, Settings
from cria.cli.options import COUNT, THREADS, decorated_with
from cria.cli.options import option as any_option
from cria.cli.params import FloatRange, GpuLayers, Numbers, Word
from cria.config import KV_LAYOUTS

option: Callable[..., Callable[..., Any]] = partial(any_option, prefix="CRIA_BENCH_")

WORDS = click.IntRange(0, 10**7)
FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
MOST_CLIENTS, MOST_PER_SECOND = 4096, 10_000
_DEFAULT = Settings()

SERVERS = (
    option("--vs", metavar="URL", help="Another server, measured in turns with the first."),
    option("--model", help="What requests name.", show_default="the first that URL lists"),
    option("--vs-model", help="The same for --vs.", show_default="the first that it lists"),
    option("--api-key", type=Word("KEY"), help="Sent to URL. Better set in the environment."),
    option("--vs-api-key", type=Word("KEY"), help="Sent to --vs."),
)

LOAD = (
    option(
        "--clients",
        type=Numbers(int, MOST_CLIENTS),
        default="1,8,32",
        help="Numbers of clients at once, one after another. Each client sends its next request "
        "when its last one is answered.",
    ),
    option(
        "rates",
        "--rate",
        type=Numbers(float, MOST_PER_SECOND),
        help="Instead of clients: requests per second, which arrive by themselves (Poisson).",
    ),
    option(
        "--requests",
        type=COUNT,
        show_default=f"one for each client; {OPEN_REQUESTS} with --rate",
        help="Requests in one run.",
    ),
    option("--rounds", type=COUNT, default=_DEFAULT.rounds, help="How often all is measured."),
    option(
        "--repeat/--no-repeat",
        default=_DEFAULT.repeat,
        help="Send the same prompts again after each run: what a warm cache is worth.",
    ),
    option(
        "--long-prompt",
        type=WORDS,
        default=_DEFAULT.long_prompt,
        metavar="WORDS",
        help="Send one prompt of so many words when all clients have their first token, and show "
        "how long the others' streams stand still. 0: none.",
    ),
    option(
        "--warm-up/--no-warm-up",
        default=_DEFAULT.warm_up,
        help="Have as many clients send short requests first, which do not count.",
    ),
)

REQUEST = (
    option(
        "--prompt-words",
        type=WORDS,
        default=_DEFAULT.prompt_words,
        help="Words of a prompt, each about one token; new ones for every round and server.",
    ),
    option(
        "--shared-words",
        type=WORDS,
        default=_DEFAULT.shared_words,
        help="Further words before them, the same for all prompts of a run.",
    ),
    option(
        "--max-tokens",
        type=COUNT,
        default=_DEFAULT.max_tokens,
        help="Tokens that each request generates.",
    ),
    option(
        "--ignore-eos/--no-ignore-eos",
        default=_DEFAULT.ignore_eos,
        help="Ask for exactly so many. Not part of OpenAI's API: some servers refuse it.",
    ),
    option(
        "--temperature",
        type=FloatRange(0, 2),
        default=_DEFAULT.temperature,
        help="Of the sampling; 0 takes the most likely token.",
    ),
    option(
        "--seed",
        type=click.IntRange(0),
        show_default="random",
        help="Makes the prompts of a run those of another one with the same seed; a server that "
        "has seen them may have kept them.",
    ),
)

LIMIT = (
    option(
        "--engine",
        metavar="MODEL",
        help="Measure the raw limit too, or alone: this model in a process of its own, without "
        "server or sampling, the prompts computed in full batches and then all sequences step by "
        "step. It shares no prefixes, and needs memory beside the server.",
    ),
    option("--threads", type=THREADS, show_default="one per physical core", help="Of the limit."),
    option(
        "--kv", type=click.Choice(KV_LAYOUTS), default="auto", help="Cache layout of the limit."
    ),
    option(
        "--gpu-layers",
        type=GpuLayers(),
        show_default="all if there is a GPU",
        help="Layers of the limit that are computed on the GPU: a number, all, or auto.",
    ),
)

OUTPUT = (
    option("--output", type=FILE, metavar="FILE.json", help="Save all that was measured."),
    option(
        "--arrivals/--no-arrivals",
        default=False,
        help="Save the time of every piece of text too.",
    ),
    option("--plot", type=FILE, metavar="FILE.png", help="Draw it; needs cria[bench]."),
    option(
        "--processes",
        type=click.IntRange(1, 256),
        show_default="one for 32 clients, at most one per CPU",
        help="Processes that the clients are spread over.",
    ),
    option(
        "--timeout",
        type=FloatRange(0, 86_400, min_open=True),
        default=_DEFAULT.timeout,
        help="Seconds after which a request has failed.",
    ),
)

BENCH_OPTIONS = (*SERVERS, *LOAD, *REQUEST, *LIMIT, *OUTPUT)

bench_options = decorated_with(BENCH_OPTIONS)
