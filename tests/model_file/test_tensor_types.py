from __future__ import annotations

import gguf

from cria.model_file.tensor_types import NO_WEIGHTS, TYPES


def test_the_sizes_are_those_of_the_formats_own_library() -> None:
    known = {kind.value: kind for kind in gguf.GGMLQuantizationType}
    for number, type in TYPES.items():
        if number in known and type.name not in NO_WEIGHTS:
            assert type.name == known[number].name
            assert gguf.GGML_QUANT_SIZES[known[number]] == type[1:]
    assert len(known.keys() & TYPES) > 25


def test_what_holds_no_weights_is_known() -> None:
    assert NO_WEIGHTS < {type.name for type in TYPES.values()}
