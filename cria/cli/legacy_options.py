"""Options about models from before GGUF, whose files do not say everything."""

from __future__ import annotations

from typing import Any

import click

from cria.cli.options import COUNT, decorated_with, option
from cria.cli.params import FloatRange
from cria.legacy import LegacyOptions

MAX_GROUP = 1024

LEGACY = (
    option(
        "--n-gqa",
        type=click.IntRange(1, MAX_GROUP),
        show_default="as the file has it",
        help="Of a file from before GGUF: heads of queries for each one of keys, such as 8 for "
        "LLaMA 2 70B. Not needed: it follows from the file, and is compared with it.",
    ),
    option(
        "--rms-eps",
        type=FloatRange(0, 1, min_open=True),
        show_default="by the kind of model",
        help="Of a file from before GGUF: epsilon of its norms, 1e-6 for LLaMA, 1e-5 for LLaMA 2.",
    ),
    option(
        "--rope-freq-base",
        type=FloatRange(0, 1e12, min_open=True),
        show_default="by the kind of model",
        help="Of a file from before GGUF: base of its positions, 1e6 for Code Llama, else 10000.",
    ),
    option(
        "--trained-context",
        type=COUNT,
        show_default="by the kind of model",
        help="Of a file from before GGUF: tokens that it was trained with, 2048 for LLaMA, 4096 "
        "for LLaMA 2.",
    ),
)

legacy_options = decorated_with(LEGACY)


def legacy_settings(options: dict[str, Any]) -> LegacyOptions:
    """Those of all options that are about such files."""
    return LegacyOptions(**{name: options[name] for name in vars(LegacyOptions())})
