"""Models that Ollama has fetched, used where they lie: `ollama:name[:tag]`.

A manifest lists layers by their checksums; one of them is the model's GGUF file. Nothing of
Ollama's is ever changed.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import msgspec

from cria.errors import ModelFileError
from cria.model_store.specs import OllamaSpec

SYSTEM_FOLDER = Path("/usr/share/ollama/.ollama/models")
"""Where Ollama has them when it runs as a service."""
MAX_MANIFEST_BYTES = 1024 * 1024
MEDIA_TYPE = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256[:-](?P<hex>[0-9a-f]{64})")
logger = logging.getLogger(__name__)


class Layer(msgspec.Struct, rename={"media_type": "mediaType"}, frozen=True):
    """One file; `digest` is its checksum, and its name."""

    media_type: str
    digest: str
    size: int

    @property
    def kind(self) -> str:
        """Such as `model`, `adapter`, `projector`, `template` and `params`."""
        return self.media_type.removeprefix(MEDIA_TYPE)


class Manifest(msgspec.Struct, frozen=True):
    """What a model is made of."""

    layers: list[Layer]


def folders() -> list[Path]:
    """Where Ollama's models may be."""
    given = os.environ.get("OLLAMA_MODELS")
    return [Path(given)] if given else [Path.home() / ".ollama" / "models", SYSTEM_FOLDER]


def find_ollama(spec: OllamaSpec) -> Path | None:
    """The model's file; None if Ollama has none of that name, ModelFileError if it is damaged."""
    for folder in folders():
        path = folder / "manifests" / spec.host / spec.namespace / spec.name / spec.tag
        if path.is_file():
            return _model_of(spec, read_manifest(path), folder)
    return None


def resolve_ollama(spec: OllamaSpec) -> Path:
    """The same, and an error if there is none."""
    path = find_ollama(spec)
    if path is None:
        where = " or ".join(map(str, folders()))
        name = f"{spec.name}:{spec.tag}"
        raise ModelFileError(f"Ollama has no {name} in {where}; `ollama pull {name}` fetches it.")
    return path


def read_manifest(path: Path) -> Manifest:
    """ModelFileError if it is none."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_MANIFEST_BYTES), type=Manifest)
    except OSError as error:
        raise ModelFileError(f"Cannot read Ollama's manifest {path}: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFileError(f"Ollama's manifest {path} makes no sense: {error}.") from error


def _model_of(spec: OllamaSpec, manifest: Manifest, folder: Path) -> Path:
    name = f"{spec.name}:{spec.tag}"
    models = [layer for layer in manifest.layers if layer.kind == "model"]
    if len(models) != 1:
        raise ModelFileError(f"Ollama's {name} has {len(models)} models, where one is wanted.")
    match = _DIGEST.fullmatch(models[0].digest)
    if match is None:
        raise ModelFileError(f"Ollama's manifest of {name} names no file of a model.")
    path = folder / "blobs" / f"sha256-{match['hex']}"
    if not path.is_file() or path.stat().st_size != models[0].size:
        raise ModelFileError(
            f"{path}, the model of Ollama's {name}, is missing or not whole; "
            f"`ollama pull {name}` fetches it again."
        )
    return path


def unused(spec: OllamaSpec) -> list[str]:
    """What else Ollama has of the model, and Cria does not use."""
    known = ("adapter", "projector", "template", "system", "params", "messages")
    for folder in folders():
        path = folder / "manifests" / spec.host / spec.namespace / spec.name / spec.tag
        if path.is_file():
            kinds = {layer.kind for layer in read_manifest(path).layers}
            return [kind for kind in known if kind in kinds]
    return []


def tell_unused(spec: OllamaSpec) -> None:
    """Say it in the log."""
    kinds = unused(spec)
    if kinds:
        logger.warning(
            "Of Ollama's %s:%s the model alone is used, not its %s.",
            spec.name,
            spec.tag,
            ", ".join(kinds),
        )
