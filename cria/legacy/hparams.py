"""The seven numbers at the beginning of a model's file."""

from __future__ import annotations

from dataclasses import dataclass

from cria.legacy.formats import Format, format_of
from cria.legacy.source import Source
from cria.model_file.reader import BadFile

SECTION = "the header"
MAX_VOCABULARY = 1_000_000
MAX_WIDTH = 65_536
MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
QUANTISATION_FACTOR = 1000
"""Some of ggml's programs wrote the version of the quantisation, times this, plus the type."""
MAX_QUANTISATION_VERSION = 2
KNOWN_TYPES = range(19)

HINT = "; it may be the file of another kind of model than llama"


@dataclass(frozen=True)
class Hparams:
    """As in the file, and checked; `file_type` without the version of the quantisation."""

    vocabulary_size: int
    width: int
    num_heads: int
    num_layers: int
    file_type: int

    @property
    def head_width(self) -> int:
        return self.width // self.num_heads


def read_format(source: Source) -> Format:
    """The magic, which has been looked at, and the version."""
    magic = source.take(4, SECTION)
    version = None if magic == b"lmgg" else source.numbers("I", SECTION)[0]
    return format_of(magic, version)


def read_hparams(source: Source) -> Hparams:
    """BadFile names the number that makes no sense."""
    vocabulary_size, width, _multiple, num_heads, num_layers, rotated, file_type = source.numbers(
        "7I", SECTION
    )
    _check("n_vocab", vocabulary_size, 3, MAX_VOCABULARY)
    _check("n_embd", width, 1, MAX_WIDTH)
    _check("n_head", num_heads, 1, width)
    _check("n_layer", num_layers, 1, MAX_LAYERS)
    if width % num_heads:
        raise BadFile(f"its header says n_head {num_heads}, which does not divide {width}{HINT}")
    if rotated != width // num_heads:
        raise BadFile(
            f"its header says n_rot {rotated}, and a head has {width // num_heads} values{HINT}"
        )
    kind = _file_type(file_type)
    return Hparams(vocabulary_size, width, num_heads, num_layers, kind)


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadFile(
            f"its header says {name} {value}, which has to be between {least} and {most}{HINT}"
        )


def _file_type(number: int) -> int:
    version, kind = divmod(number, QUANTISATION_FACTOR)
    if kind not in KNOWN_TYPES or version > MAX_QUANTISATION_VERSION:
        raise BadFile(f"its header says ftype {number}, which is not known{HINT}")
    return kind
