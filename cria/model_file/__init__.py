"""What a GGUF file says of itself, read and checked before llama.cpp sees it.

llama.cpp aborts the process on many a lie in a file, some of them only at the first decode. The
format: ggml's document `gguf.md`; what llama.cpp makes of it: `gguf.cpp`, `llama-model.cpp`.
"""

from cria.model_file.check import check_model_file, check_model_files
from cria.model_file.header import Header, TensorInfo, read_header

__all__ = ["Header", "TensorInfo", "check_model_file", "check_model_files", "read_header"]
