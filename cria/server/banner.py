"""What `cria serve` says when it is ready: where, what, how much, and a line to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from cria.config import ServerConfig
from cria.generation.hosted_model import HostedModel
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.hosts import is_loopback
from cria.server.key_ring import needs_key

WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def ready_banner(models: ModelPool, config: ServerConfig, port: int) -> str:
    """All lines together; `port` is the real one, also when any free one was asked for."""
    url = base_url(config.host, port)
    if config.tls_cert is not None:
        url = url.replace("http:", "https:", 1)
    names = ", ".join(model.names[0] for model in models.models)
    lines = [f"Cria serves {names} on {url}/v1"]
    for model in models.models:
        told = _capacity(model.generation) if model.generation else [_absence(model)]
        lines += told if models.is_single else [f"{model.names[0]}: {line}" for line in told]
    loaded = [model.generation for model in models.models if model.generation is not None]
    warnings = [warning for generation in loaded for warning in _model_warnings(generation)]
    lines += [f"Warning: {warning}" for warning in (*dict.fromkeys(warnings), *_access(config))]
    if loaded:
        lines += ["Try it:", f"  {_line_to_paste(loaded[0], url, needs_key(config))}"]
    return "\n".join(lines)


def _absence(model: HostedModel) -> str:
    if model.failure is not None:
        return f"not loaded: {model.failure}"
    return "is loaded when it is asked for"


def base_url(host: str, port: int) -> str:
    """An address that works from this machine."""
    shown = WILDCARD_HOSTS.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def curl_line(url: str, model: str, needs_key: bool) -> str:
    """A plain completion, which every model answers that generates, with a template or without."""
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": 32}
    return _curl_line(f"{url}/v1/completions", body, needs_key)


def embedding_curl_line(url: str, model: str, pooling: str, needs_key: bool) -> str:
    """What a model answers that only embeds, or only ranks."""
    if pooling == "rank":
        rerank = {"model": model, "query": "A colour", "documents": ["Red", "Four"]}
        return _curl_line(f"{url}/v1/rerank", rerank, needs_key)
    return _curl_line(f"{url}/v1/embeddings", {"model": model, "input": "Hello"}, needs_key)


def _curl_line(url: str, body: Mapping[str, object], needs_key: bool) -> str:
    parts = ["curl", url]
    if needs_key:
        parts += ["-H", '"Authorization: Bearer $CRIA_API_KEY"']
    return " ".join([*parts, "-d", shlex.quote(json.dumps(body))])


def _line_to_paste(generation: Generation, url: str, needs_key: bool) -> str:
    info, model = generation.status().info, generation.model_ids[0]
    if info is None or info.can_generate or info.embedding is None:
        return curl_line(url, model, needs_key)
    return embedding_curl_line(url, model, info.embedding.pooling, needs_key)


def _capacity(generation: Generation) -> list[str]:
    info = generation.status().info
    if info is None:
        return []
    if not info.can_generate and info.embedding is not None:
        what = "Rankings" if info.embedding.pooling == "rank" else "Embeddings"
        return [f"{what} of texts of up to {info.embedding.context_size} tokens, on {info.device}"]
    sequences = "1 sequence" if info.num_slots == 1 else f"{info.num_slots} sequences"
    tokens = f"{info.context_size} tokens each"
    if info.num_cells < info.num_slots * info.context_size:
        tokens = f"up to {info.context_size} tokens, {info.num_cells} together"
    return [f"{sequences} of {tokens}, on {info.device}"]


def _model_warnings(generation: Generation) -> list[str]:
    info = generation.status().info
    return [] if info is None else list(info.warnings)


def _access(config: ServerConfig) -> list[str]:
    warnings = []
    if not needs_key(config) and not is_loopback(config.host):
        warnings.append(
            "whoever reaches this address may use the server; --api-key asks callers for a key."
        )
    return warnings
