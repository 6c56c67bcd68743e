"""What a GGUF file says of itself, read and checked before llama.cpp sees it.

llama.cpp aborts the process on many a lie in a file, some of them only at the first decode. The
format: ggml's document `gguf.md`; what llama.cpp makes of it: `gguf.cpp`, `llama-model.cpp`.
"""

from cria.model_file.adapter import (
    BaseModel,
    check_adapter_file,
    is_old_adapter,
    read_base,
)
from cria.model_file.check import check_model_file, check_model_files
from cria.model_file.control_vector import sum_control_vectors
from cria.model_file.header import Header, TensorInfo, read_header

__all__ = [
    "BaseModel",
    "Header",
    "TensorInfo",
    "check_adapter_file",
    "check_model_file",
    "check_model_files",
    "is_old_adapter",
    "read_base",
    "read_header",
    "sum_control_vectors",
]
