"""Names of architectures that users of the original program put on the command line.

A GGUF file says itself what it holds, so the name decides nothing here.
"""

from __future__ import annotations

import re

# Those of the original's -a, and every llama by its number.
_ARCHITECTURE = re.compile(r"llama(-?\d(\.\d)?)?|gpt2|gptj|gpt-neo-x|mpt", re.IGNORECASE)


def is_architecture(word: str) -> bool:
    return _ARCHITECTURE.fullmatch(word) is not None
