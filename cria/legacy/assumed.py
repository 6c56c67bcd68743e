"""What no file says, and no shape tells: chosen by what was common when the file was made.

LLaMA came before the third version of the last format, LLaMA 2 after it. Its large model alone has
grouped attention. Code Llama has 16 more tokens, or the sizes of its middle model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cria.errors import ModelFileError
from cria.legacy.formats import Format
from cria.legacy.hparams import Hparams
from cria.legacy.shapes import Derived
from cria.model_file.reader import BadFile

CODE_VOCABULARY = 32_016
CODE_MIDDLE = (8192, 48)
"""Width and layers."""
FIRST_ONLY = (3200, 6656)
"""Widths: OpenLLaMA's smallest model, and the 30B one, have no successors."""
DEFAULT_BASE = 10_000.0


@dataclass(frozen=True)
class LegacyOptions:
    """What the operator knows of a file; None is not told."""

    n_gqa: int | None = None
    """Heads of queries for one of keys and values; only compared with what the file has."""
    rms_eps: float | None = None
    rope_freq_base: float | None = None
    trained_context: int | None = None
    """Tokens."""

    def __bool__(self) -> bool:
        return self != LegacyOptions()

    def named(self) -> str:
        """Those that are told, as they are on the command line."""
        told = [name for name, value in vars(self).items() if value is not None]
        return ", ".join("--" + name.replace("_", "-") for name in told)


@dataclass(frozen=True)
class Assumed:
    family: str
    rms_eps: float
    rope_freq_base: float
    context: int
    """Tokens that the model was trained with."""

    def sentence(self) -> str:
        return (
            f"Taken for a {self.family} model: {self.context} tokens of context, eps "
            f"{self.rms_eps:g}, rope base {self.rope_freq_base:g}"
        )


LLAMA_1 = Assumed("LLaMA", 1e-6, DEFAULT_BASE, 2048)
LLAMA_2 = Assumed("LLaMA 2", 1e-5, DEFAULT_BASE, 4096)
CODE_LLAMA = Assumed("Code Llama", 1e-5, 1e6, 16_384)


def assume(form: Format, hparams: Hparams, derived: Derived, options: LegacyOptions) -> Assumed:
    """What the operator says wins; BadFile if the file contradicts it."""
    groups = hparams.num_heads // derived.num_key_heads
    if options.n_gqa not in (None, groups):
        raise BadFile(
            f"--n-gqa {options.n_gqa} contradicts its tensors, which have {groups} heads of "
            "queries for each one of keys"
        )
    family = _family(form, hparams, is_grouped=groups > 1)
    return Assumed(
        family.family,
        family.rms_eps if options.rms_eps is None else options.rms_eps,
        family.rope_freq_base if options.rope_freq_base is None else options.rope_freq_base,
        family.context if options.trained_context is None else options.trained_context,
    )


def _family(form: Format, hparams: Hparams, *, is_grouped: bool) -> Assumed:
    is_middle = is_grouped and (hparams.width, hparams.num_layers) == CODE_MIDDLE
    if hparams.vocabulary_size == CODE_VOCABULARY or is_middle:
        return CODE_LLAMA
    if is_grouped:
        return LLAMA_2
    is_large = hparams.width in FIRST_ONLY or hparams.width == CODE_MIDDLE[0]
    return LLAMA_1 if form.version < 3 or is_large else LLAMA_2


def check_options(options: LegacyOptions) -> None:
    """ModelFileError for values that no model has."""
    for name, value, most in (
        ("--rms-eps", options.rms_eps, 1.0),
        ("--rope-freq-base", options.rope_freq_base, 1e12),
        ("--trained-context", options.trained_context, 2**31 - 1),
    ):
        if value is not None and not (math.isfinite(value) and 0 < value <= most):
            raise ModelFileError(f"{name} {value} is not a number above 0 and up to {most:g}.")
