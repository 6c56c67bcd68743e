from __future__ import annotations

import gguf

from cria.model_file.file_types import FILE_TYPES


def test_names_are_those_of_llama_cpp() -> None:
    known = {each.value: each.name.removeprefix("MOSTLY_") for each in gguf.LlamaFileType}
    known[0] = "F32"
    shared = FILE_TYPES.keys() & known.keys()
    assert len(shared) > 30 and {n: known[n] for n in shared} == {n: FILE_TYPES[n] for n in shared}
