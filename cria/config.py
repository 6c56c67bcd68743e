"""Every setting, checked where it is made: one frozen Struct per layer."""

from __future__ import annotations

from typing import Any

import msgspec

from cria.access_key import AccessKey

CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
SPLIT_MODES = ("none", "layer", "row", "tensor")
FLASH_ATTENTION = ("auto", "on", "off")
KV_LAYOUTS = ("auto", "unified", "streams")
REASONING_FIELDS = ("reasoning_content", "reasoning", "both", "none")
POOLINGS = ("auto", "mean", "cls", "last", "rank")
ALL_LAYERS = -1


class Adapter(msgspec.Struct, frozen=True):
    """A LoRA adapter, which changes some of a model's weights while it acts."""

    path: str
    name: str
    """Requests ask for it by this name, or by `model:name`."""
    scale: float = 1.0
    """How strongly it acts on those that do not say otherwise."""


class ControlVector(msgspec.Struct, frozen=True):
    """Directions that are added to what the layers of a model compute, for all requests."""

    path: str
    scale: float = 1.0


class EngineConfig(msgspec.Struct, frozen=True):
    """What the engine process needs to load a model; None leaves the choice to the engine."""

    model_path: str
    context_size: int | None = None
    """Tokens that one sequence may hold."""
    num_slots: int | None = None
    """Sequences that are computed at the same time."""
    num_cells: int | None = None
    """Tokens that the cache holds for all sequences together, where they share one pool."""
    max_cells: int | None = None
    """The same at most, where that number is our choice: less than what was too much."""
    num_threads: int | None = None
    num_gpu_layers: int | None = None
    """None: all if there is a GPU; -1: all; 0: none."""
    require_gpu: bool = False
    """The operator asked for a GPU by name: warn if there is none."""
    batch_size: int | None = None
    """Tokens in one step at most."""
    ubatch_size: int | None = None
    max_stall_ms: float | None = None
    """The longest pause that prompts of others may make in a stream."""
    flash_attention: str = "auto"
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    main_gpu: int = 0
    split_mode: str = "layer"
    tensor_split: tuple[float, ...] = ()
    use_mmap: bool = True
    prefix_cache: bool = True
    """Take the beginning of a prompt over from sequences that began alike."""
    kv_layout: str = "auto"
    """`unified`, `streams`, or what is faster here: see `native.context`."""
    pooling: str = "auto"
    """How an input becomes one vector; auto is what the model was trained with, else the mean."""
    log_level: str = "info"
    adapters: tuple[Adapter, ...] = ()
    """Numbered in this order, from 0."""
    lora_init_without_apply: bool = False
    """They act on no request that does not ask for them."""
    control_vectors: tuple[ControlVector, ...] = ()
    control_vector_layers: tuple[int, int] | None = None
    """The first and the last layer that they act on; None: all that they have directions for."""
    engine_timeout: float = 30.0
    """Seconds without a sign of life after which the engine process is ended and started again."""

    @property
    def may_shrink(self) -> bool:
        """Whether the size of the cache is our choice."""
        return None in (self.context_size, self.num_slots)

    def with_less_than(self, num_cells: int) -> EngineConfig:
        """For a machine on which a cache of so many tokens was too large; half of that fits."""
        return msgspec.structs.replace(self, max_cells=num_cells // 2)


class ModelSettings(msgspec.Struct, frozen=True):
    """What the operator says about requests to one model, by the names of the API's fields."""

    system_prompt: str | None = None
    """Put in front of conversations that have no system message."""
    defaults: dict[str, Any] = {}
    """For fields that a request leaves out."""
    forced: dict[str, Any] = {}
    """For fields whatever a request says."""
    max_tokens: int | None = None
    """Of one answer; a larger wish becomes this."""
    max_prompt_tokens: int | None = None
    """Of one prompt; a longer one is refused."""
    max_choices: int | None = None
    """Sequences that one request may have generated."""


class ServerConfig(msgspec.Struct, frozen=True):
    """What the HTTP server needs."""

    host: str = "127.0.0.1"
    port: int = 3000
    keys: tuple[AccessKey, ...] = ()
    """Empty, and no file: everybody may ask."""
    key_file: str | None = None
    """Further keys, and what each may; read again on SIGHUP."""
    no_auth: bool = False
    """Listen beyond the loopback address also without keys."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which the server may be asked for, beside the loopback ones."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose web pages may ask; `*` is all of them."""
    tls_cert: str | None = None
    """PEM file with the certificate chain; with it, HTTPS is spoken."""
    tls_key: str | None = None
    """PEM file with its key; None: in the same file."""
    aliases: tuple[str, ...] = ()
    """Further names of the model; the first one is the name that answers carry."""
    strict: bool = False
    """An unknown request field is a 400 instead of a warning."""
    reasoning_field: str = "reasoning_content"
    """Where a chat's answer has the model's thinking; `none` leaves it in the text."""
    max_body_bytes: int = 32 * 1024 * 1024
    max_connections: int = 1000
    """Of one process that speaks HTTP."""
    header_timeout: float = 10.0
    """Seconds from the first byte of a request to the end of its headers."""
    body_timeout: float = 30.0
    """Seconds of silence within a body; all of it may take four times as long and a little more."""
    idle_timeout: float = 75.0
    """Seconds until a connection on which nothing is asked ends."""
    write_timeout: float = 60.0
    """Seconds until a client that takes nothing of its answer counts as gone."""
    heartbeat_seconds: float = 15.0
    """A stream that has been silent for so long gets a comment line, which keeps proxies awake."""
    ignore_built_in_tools: bool = False
    """Leave out the tools of a response that OpenAI would run, instead of refusing them."""
    response_store: str | None = ""
    """File that keeps responses; empty: one for the life of the server; None: nothing is kept."""
    response_store_days: float = 30.0
    """What is older is deleted."""
    response_store_mb: float = 256.0
    """What is beyond it is deleted, the oldest first."""
    num_workers: int = 1
    """Processes that speak HTTP, the main one included; they share one port and one engine."""
    drain_delay_seconds: float = 0.0
    """After SIGTERM, health checks fail for so long while requests are still served."""
    drain_timeout_seconds: float = 25.0
    """For answers that have begun then; Kubernetes kills after 30 seconds."""
    max_queue: int | None = None
    """Sequences that may wait for a slot; None: eight for each slot, but not fewer than 64."""
    max_queue_tokens: int | None = None
    """Tokens of their prompts and longest answers; None: no more than their contexts hold."""
    queue_timeout: float = 60.0
    """Seconds that a request may wait for its beginning."""
    rate_limit_requests: int | None = None
    """Of each key in a minute, if it has no limit of its own."""
    rate_limit_tokens: int | None = None
    """The same, of prompts and answers together."""
    chat_template: str | None = None
    """A Jinja source that is used instead of the model's own templates."""
    settings: ModelSettings = ModelSettings()
    """Defaults, forced values and limits of the requests to a model."""
    max_loaded_models: int | None = None
    """Models in memory at the same time; None: as many as fit."""
    lora_folder: str | None = None
    """Below it are the adapters that callers may load; None: they may load none."""
    exit_on_crash_loop: bool = False
    """End the server when engines have ended too often, instead of waiting for some minutes."""
    log_level: str = "info"


class ModelEntry(msgspec.Struct, frozen=True):
    """One model that a server has, loaded or not."""

    engine: EngineConfig
    server: ServerConfig
    """What concerns the model, such as its names; the rest is the same for all models."""
    pinned: bool = False
    """Loaded at the start, and never unloaded for another one."""
    keep_alive: float | None = None
    """Seconds without a request after which it is unloaded; 0: at once; None: when another one
    needs the memory."""
