"""Models in Hugging Face's hub: `hf:org/repo`, with a quantisation or a file of it if need be."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from cria.errors import ModelFileError, SetupError
from cria.model_store.download import Remote, fetch_files
from cria.model_store.hub_messages import Failure, HubFile, Listing, decode
from cria.model_store.places import Progress, models_folder
from cria.model_store.quants import choose
from cria.model_store.specs import HubSpec, is_private_line
from cria.model_store.split import set_of

FOLDER = "hub"
PATIENCE_SECONDS = 120.0
DEFAULT_ENDPOINT = "https://huggingface.co"


def folder_of(spec: HubSpec) -> Path:
    return models_folder() / FOLDER / spec.org / spec.repo


def find_hub(spec: HubSpec) -> Path | None:
    """A file of the repository that is here and is meant, as `choose` would have it."""
    folder = folder_of(spec)
    here = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    try:
        path = folder / choose(here, spec.choice, spec.repository)
    except ModelFileError:
        return None
    return path if all(path.with_name(name).is_file() for name in set_of(path.name)) else None


def fetch_hub(spec: HubSpec, report: Progress) -> Path:
    """Ask what the repository has, choose, and fetch; of a split set all files."""
    files = {file.path: file for file in _ask(spec)}
    path = choose(files, spec.choice, spec.repository)
    folder, slash, name = path.rpartition("/")
    paths = [f"{folder}{slash}{part}" for part in set_of(name)]
    missing = [part for part in paths if part not in files]
    if missing:
        raise ModelFileError(
            f"{spec.repository} has only {len(paths) - len(missing)} of the {len(paths)} parts "
            f"of {name}; the first that it does not have is {missing[0]}."
        )
    target = folder_of(spec) / path
    fetch_files([_remote(files[part]) for part in paths], target, report)
    return target


def _remote(file: HubFile) -> Remote:
    token = os.environ.get("HF_TOKEN", "")
    # requests sends it to this host alone, not to where the hub points.
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if file.num_bytes <= 0:
        raise ModelFileError(f"The hub does not say how long {file.path} is.")
    return Remote(file.url, file.path.rpartition("/")[2], file.num_bytes, file.sha256, headers)


def _ask(spec: HubSpec) -> list[HubFile]:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise SetupError(
            "Models of the hub need the Python package huggingface_hub; install it with the extra "
            '`hub`: pip install "cria[hub]".'
        )
    endpoint = os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
    if os.environ.get("HF_TOKEN") and not is_private_line(endpoint):
        raise SetupError("HF_ENDPOINT has no TLS: HF_TOKEN is not sent there.")
    answer = _answer_of(spec.repository)
    if isinstance(answer, Failure):
        raise ModelFileError(_sentence(answer, spec.repository, endpoint))
    return answer.files


def _answer_of(repository: str) -> Listing | Failure:
    command = [sys.executable, "-m", "cria.model_store.hub_child", repository]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECONDS
        )
        answer: Listing | Failure = decode(done.stdout)
        return answer
    except subprocess.TimeoutExpired:
        return Failure("unreachable", "it took too long")
    except (msgspec.DecodeError, UnicodeDecodeError):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Failure("unreachable", (last or ["no answer"])[0][:200])


def _sentence(failure: Failure, repository: str, endpoint: str) -> str:
    token = "with the token in HF_TOKEN" if os.environ.get("HF_TOKEN") else "without HF_TOKEN"
    if failure.kind == "gated":
        return (
            f"{repository} is gated: accept its terms at {endpoint}/{repository}, and put your "
            f"token into HF_TOKEN (asked {token})."
        )
    if failure.kind == "missing":
        return f"The hub shows no {repository}: there is none, or it is private (asked {token})."
    if failure.kind == "offline":
        return f"{repository} is not here, and HF_HUB_OFFLINE forbids to fetch it."
    if failure.kind == "refused":
        return f"The hub at {endpoint} answers with status {failure.detail} for {repository}."
    return f"The hub at {endpoint} cannot be reached ({failure.detail}); check the network."
