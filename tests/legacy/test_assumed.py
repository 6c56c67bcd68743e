"""Which model a file is taken for, and who wins."""

from __future__ import annotations

import math

import pytest

from cria.errors import ModelFileError
from cria.legacy.assumed import LegacyOptions, assume, check_options
from cria.legacy.formats import FORMATS
from cria.legacy.hparams import Hparams
from cria.legacy.shapes import Derived
from cria.model_file.reader import BadFile

V3, V2 = FORMATS[b"tjgg", 3], FORMATS[b"tjgg", 2]
NOTHING = LegacyOptions()


def hparams(width: int = 4096, layers: int = 32, vocabulary: int = 32_000) -> Hparams:
    return Hparams(vocabulary, width, width // 128, layers, 2)


@pytest.mark.parametrize(
    ("form", "size", "groups", "told"),
    [
        (V3, hparams(), 1, ("LLaMA 2", 1e-5, 1e4, 4096)),
        (V2, hparams(), 1, ("LLaMA", 1e-6, 1e4, 2048)),
        (FORMATS[b"lmgg", None], hparams(), 1, ("LLaMA", 1e-6, 1e4, 2048)),
        (V3, hparams(6656, 60), 1, ("LLaMA", 1e-6, 1e4, 2048)),
        (V3, hparams(3200, 26), 1, ("LLaMA", 1e-6, 1e4, 2048)),
        (V3, hparams(8192, 80), 1, ("LLaMA", 1e-6, 1e4, 2048)),
        (V3, hparams(8192, 80), 8, ("LLaMA 2", 1e-5, 1e4, 4096)),
        (V3, hparams(8192, 48), 8, ("Code Llama", 1e-5, 1e6, 16_384)),
        (V3, hparams(vocabulary=32_016), 1, ("Code Llama", 1e-5, 1e6, 16_384)),
    ],
)
def test_families(form: object, size: Hparams, groups: int, told: tuple[object, ...]) -> None:
    derived = Derived(size.num_heads // groups, 11_008)
    found = assume(form, size, derived, NOTHING)  # type: ignore[arg-type]
    assert (found.family, found.rms_eps, found.rope_freq_base, found.context) == told
    assert str(found.context) in found.sentence()


def test_each_option_wins_alone() -> None:
    derived = Derived(32, 11_008)
    found = assume(V3, hparams(), derived, LegacyOptions(rms_eps=5e-6))
    assert (found.rms_eps, found.rope_freq_base, found.context) == (5e-6, 1e4, 4096)
    found = assume(V3, hparams(), derived, LegacyOptions(rope_freq_base=5e5, trained_context=9))
    assert (found.rms_eps, found.rope_freq_base, found.context) == (1e-5, 5e5, 9)


def test_groups_are_compared() -> None:
    size, derived = hparams(8192, 80), Derived(8, 28_672)
    assert assume(V3, size, derived, LegacyOptions(n_gqa=8)).family == "LLaMA 2"
    with pytest.raises(BadFile, match="--n-gqa 1 contradicts its tensors, which have 8"):
        assume(V3, size, derived, LegacyOptions(n_gqa=1))


def test_told_options_are_named() -> None:
    assert not NOTHING
    told = LegacyOptions(n_gqa=8, rope_freq_base=1e6)
    assert told and told.named() == "--n-gqa, --rope-freq-base"


@pytest.mark.parametrize(
    "options",
    [
        LegacyOptions(rms_eps=0.0),
        LegacyOptions(rms_eps=math.nan),
        LegacyOptions(rope_freq_base=math.inf),
        LegacyOptions(rope_freq_base=-1.0),
        LegacyOptions(trained_context=0),
        LegacyOptions(trained_context=2**31),
    ],
)
def test_values_that_no_model_has(options: LegacyOptions) -> None:
    with pytest.raises(ModelFileError, match=options.named()):
        check_options(options)
