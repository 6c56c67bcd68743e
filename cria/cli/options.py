"""The options of `cria serve`, one row each.

1. An option's parameter is named as the field of `cria.config` that it sets; what no field has is
   read by `cli.serve`.
2. Every option is also an environment variable: `CRIA_` and its first long name. The command line
   wins over the environment, the environment over the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from cria.cli.params import FloatRange, GpuLayers, StorePath, TensorSplit, Word
from cria.config import (
    CACHE_TYPES,
    FLASH_ATTENTION,
    KV_LAYOUTS,
    POOLINGS,
    REASONING_FIELDS,
    SPLIT_MODES,
    EngineConfig,
    ServerConfig,
)

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

INT32_MAX = 2**31 - 1
COUNT = click.IntRange(1, INT32_MAX)
THREADS = click.IntRange(1, 512)
LOG_LEVELS = ("debug", "info", "warning", "error")

_SERVER = ServerConfig()
_ENGINE = EngineConfig(model_path="")


def option(
    *names: str, also: tuple[str, ...] = (), prefix: str = "CRIA_", **settings: Any
) -> Callable[..., Any]:
    """A click option with its environment variable; `also` are older names of the variable."""
    long_name = next(name for name in names if name.startswith("--"))
    variable = prefix + long_name[2:].partition("/")[0].upper().replace("-", "_")
    settings.setdefault("show_default", True)
    return click.option(*names, envvar=[variable, *also], show_envvar=True, **settings)


TEMPLATE = (
    option(
        "chat_template_file",
        "--chat-template",
        type=click.Path(),
        metavar="FILE",
        show_default="the model's own",
        help="File with the Jinja template that makes prompts of conversations.",
    ),
)

ADDRESS = (
    option("--host", "-H", default=_SERVER.host, help="Address or host name to listen on."),
    option(
        "--port",
        "-p",
        type=click.IntRange(0, 65535),
        default=_SERVER.port,
        help="Port to listen on; 0 takes a free one and prints it.",
    ),
    option(
        "aliases",
        "--alias",
        type=Word("NAME"),
        multiple=True,
        help="Name of the model, instead of its file's; answers carry the first one.",
    ),
    option(
        "--strict/--no-strict",
        default=_SERVER.strict,
        help="Refuse unknown request fields instead of reporting them in x-cria-warnings.",
    ),
    option(
        "--reasoning-field",
        type=click.Choice(REASONING_FIELDS),
        default=_SERVER.reasoning_field,
        help="Member of a chat's answer that holds the model's thinking; none leaves it in the "
        "text.",
    ),
    option(
        "num_workers",
        "--workers",
        type=click.IntRange(1, 64),
        default=_SERVER.num_workers,
        help="Processes that speak HTTP, all on one port and over one engine: for GPUs whose "
        "tokens are too many for one of them.",
    ),
    option(
        "--log-level",
        type=click.Choice(LOG_LEVELS, case_sensitive=False),
        default=_SERVER.log_level,
        help="What is worth a log line.",
    ),
)

CAPACITY = (
    option(
        "--context-size",
        "-c",
        type=click.IntRange(2, INT32_MAX),
        show_default="what the model was trained with, at most 8192",
        help="Tokens that one sequence may hold, prompt and answer together.",
    ),
    option(
        "num_slots",
        "--parallel",
        type=click.IntRange(1, 256),
        show_default="8 on CPU, 64 on GPU, fewer if memory is short",
        help="Sequences that are computed at the same time.",
    ),
    option(
        "num_cells",
        "--cache-size",
        type=COUNT,
        show_default="enough for all, at most half of the free memory",
        help="Tokens that the cache holds for all sequences together. If they need more, some "
        "wait. Only where they share one pool: see --kv.",
    ),
    option(
        "--max-stall-ms",
        type=FloatRange(1, 3_600_000),
        show_default="500 on CPU, 200 on GPU",
        help="The longest pause that the prompts of others may make in a stream. Longer ones let "
        "more get done: every step of a few tokens costs a pass over all weights.",
    ),
    option(
        "num_threads",
        "--threads",
        type=THREADS,
        show_default="one per physical core",
        help="Threads that compute.",
    ),
    option("--batch-size", type=COUNT, show_default="auto", help="Tokens in one step at most."),
    option(
        "--ubatch-size",
        type=COUNT,
        show_default="auto",
        help="Tokens in one pass over the weights; at most --batch-size.",
    ),
)

DEVICES = (
    option(
        "num_gpu_layers",
        "--gpu-layers",
        "-g",
        type=GpuLayers(),
        show_default="all if there is a GPU",
        help="Layers that are computed on the GPU: a number, all, or auto.",
    ),
    option(
        "use_gpu",
        "--use-gpu/--no-use-gpu",
        "-u",
        default=None,
        show_default="if there is one",
        help="Compute on the GPU, with a warning if there is none; or never.",
    ),
    option(
        "--main-gpu",
        type=click.IntRange(0, 127),
        default=_ENGINE.main_gpu,
        help="The GPU that is used if --split-mode is none.",
    ),
    option(
        "--split-mode",
        type=click.Choice(SPLIT_MODES),
        default=_ENGINE.split_mode,
        help="How a model is spread over several GPUs.",
    ),
    option(
        "--tensor-split",
        type=TensorSplit(),
        default=_ENGINE.tensor_split,
        show_default="by free memory",
        help="Share of the model for each GPU, such as 3,1.",
    ),
)

MEMORY = (
    option(
        "flash_attention",
        "--flash-attn",
        type=click.Choice(FLASH_ATTENTION),
        default=_ENGINE.flash_attention,
        help="Whether attention is computed in one fused step.",
    ),
    option(
        "kv_layout",
        "--kv",
        type=click.Choice(KV_LAYOUTS),
        default=_ENGINE.kv_layout,
        help="Cache layout: one pool for all sequences, or a stream for each; auto is streams, but "
        "on a CPU unified where a pool holds more sequences in the same memory.",
    ),
    option(
        "--prefix-cache/--no-prefix-cache",
        default=_ENGINE.prefix_cache,
        help="Reuse what was computed for prompts that begin alike.",
    ),
    option(
        "--cache-type-k",
        type=click.Choice(CACHE_TYPES),
        default=_ENGINE.cache_type_k,
        help="Number format of the cached keys.",
    ),
    option(
        "--cache-type-v",
        type=click.Choice(CACHE_TYPES),
        default=_ENGINE.cache_type_v,
        help="Number format of the cached values.",
    ),
    option(
        "use_mmap",
        "--mmap/--no-mmap",
        "-m",
        "--prefer-mmap",
        also=("CRIA_PREFER_MMAP",),
        default=_ENGINE.use_mmap,
        help="Map the model file into memory instead of reading it.",
    ),
)

EMBEDDINGS = (
    option(
        "--pooling",
        type=click.Choice(POOLINGS),
        default=_ENGINE.pooling,
        help="How the vectors of a text's tokens become one: their mean, the first (cls), or the "
        "last one; rank is for rerankers. auto is what the model was trained with, else mean.",
    ),
)

RESPONSES = (
    option(
        "--ignore-built-in-tools/--no-ignore-built-in-tools",
        default=_SERVER.ignore_built_in_tools,
        help="Leave out the tools of /v1/responses that OpenAI would run, such as web_search, and "
        "name them in x-cria-warnings, instead of refusing the request.",
    ),
    option(
        "--response-store",
        type=StorePath(),
        default=_SERVER.response_store,
        show_default="a private file that goes with the server",
        help="File that keeps the answers of /v1/responses, or none.",
    ),
    option(
        "--response-store-days",
        type=FloatRange(0, 36_500, min_open=True),
        default=_SERVER.response_store_days,
        help="How long it keeps one.",
    ),
    option(
        "--response-store-mb",
        type=FloatRange(0, 1_000_000, min_open=True),
        default=_SERVER.response_store_mb,
        help="How much it keeps; the oldest goes first.",
    ),
)

SUPERVISION = (
    option(
        "--engine-timeout",
        type=FloatRange(0.1, 86_400),
        default=_ENGINE.engine_timeout,
        help="Seconds without a sign of life after which the engine process is ended and started "
        "again; ten times as many while it loads the model.",
    ),
    option(
        "--exit-on-crash-loop/--no-exit-on-crash-loop",
        default=_SERVER.exit_on_crash_loop,
        help="End with an error when the engine process has ended five times within a minute, for "
        "a supervisor to act on; else requests get a 503, and it is tried again after 5 minutes.",
    ),
)

MODEL = (
    option(
        "model_option",
        "--model",
        metavar="MODEL",
        also=("CRIA_MODEL_PATH",),
        help="The same as the argument MODEL.",
    ),
)

SERVE_OPTIONS = (
    *ADDRESS,
    *CAPACITY,
    *DEVICES,
    *MEMORY,
    *EMBEDDINGS,
    *TEMPLATE,
    *RESPONSES,
    *SUPERVISION,
    *MODEL,
)


def decorated_with(
    options: Sequence[Callable[..., Any]],
) -> Callable[[Decorated], Decorated]:
    """A decorator that adds all of them, so that the help shows them in this order."""

    def decorate(function: Decorated) -> Decorated:
        for add in reversed(options):
            function = add(function)
        return function

    return decorate


serve_options = decorated_with(SERVE_OPTIONS)
