"""`LoadedModel`: the weights, and the machine they are on, for whoever computes with them."""

from __future__ import annotations

from collections.abc import Callable

from cria.config import EngineConfig
from cria.constraint.compiler import GrammarCompiler
from cria.engine.adapter_shelf import AdapterShelf
from cria.engine.pacing import PrefillPacer
from cria.ipc.messages import Ready
from cria.model_file import check_model_file
from cria.native import devices, library
from cria.native.grammar_tokenizer import make_grammar_tokenizer, opens_with_blank
from cria.native.model import Model, ModelOptions

MAX_STALL_MS_CPU, MAX_STALL_MS_GPU = 500, 200
"""A CPU needs a good part of the shorter time for the decodes alone."""
FIRST_CHUNK_CPU, FIRST_CHUNK_GPU = 64, 512
"""Prompt tokens beside running decodes, as long as nobody knows how long they take."""


class LoadedModel:
    """One model; several contexts may compute with it, one at a time."""

    def __init__(
        self, config: EngineConfig, on_progress: Callable[[float], None] | None = None
    ) -> None:
        """Load it; SetupError says why that is impossible."""
        self.config = config
        check_model_file(config.model_path)
        self.adapters = AdapterShelf(config)
        self.progress_counter: memoryview | None = None
        """8 bytes that contexts count their progress in, if anybody wants to know."""
        self._library = library.load()
        self._gpus = devices.gpus(self._library)
        self._options = self._model_options()
        self.model = Model(self._library, config.model_path, self._options, on_progress)
        self.adapters.load_all(self.model)

    @property
    def has_gpu(self) -> bool:
        """Some of the layers are on a GPU."""
        return bool(self._gpus) and self.config.num_gpu_layers != 0

    @property
    def num_threads(self) -> int:
        return self.config.num_threads or devices.num_cores()

    @property
    def warnings(self) -> list[str]:
        """What was asked for and cannot be had, whatever the model is for."""
        if not self._gpus and (self.config.require_gpu or self.config.num_gpu_layers):
            return [
                "No GPU can be used by this build on this machine: the CPU computes everything."
            ]
        return []

    def free_bytes(self) -> int:
        """Free memory now, where caches will be."""
        if self.has_gpu:
            return sum(gpu.free_bytes for gpu in devices.gpus(self._library))
        return devices.free_main_memory()

    def make_compiler(self) -> GrammarCompiler:
        """For grammars over this model's vocabulary; takes a fifth of a second and more."""
        vocab = self.model.vocab
        tokenizer = make_grammar_tokenizer(vocab)
        return GrammarCompiler(tokenizer, opens_with_blank=opens_with_blank(vocab))

    def make_pacer(self, share: float = 1.0) -> PrefillPacer:
        """For the promise of `--max-stall-ms`, or a share of it."""
        usual = MAX_STALL_MS_GPU if self.has_gpu else MAX_STALL_MS_CPU
        max_stall_seconds = (self.config.max_stall_ms or usual) / 1000
        first_chunk = FIRST_CHUNK_GPU if self.has_gpu else FIRST_CHUNK_CPU
        return PrefillPacer(share * max_stall_seconds, first_chunk)

    def ready(
        self,
        *,
        num_slots: int,
        context_size: int,
        num_cells: int,
        warnings: list[str],
        kv_layout: str,
    ) -> Ready:
        """What was loaded, and how."""
        layers = self.model.num_layers + 1  # the output layer counts as one
        wanted = self._options.num_gpu_layers
        return Ready(
            num_slots=num_slots,
            context_size=context_size,
            num_cells=num_cells,
            num_parameters=self.model.num_parameters,
            model_bytes=self.model.num_bytes,
            num_gpu_layers=layers if wanted < 0 else min(wanted, layers),
            device=self._gpus[0].description if self.has_gpu else "CPU",
            num_threads=self.num_threads,
            warnings=warnings,
            kv_layout=kv_layout,
            can_generate=self.model.has_decoder,
            adapters=list(self.config.adapters),
            lora_init_without_apply=self.config.lora_init_without_apply,
        )

    def _model_options(self) -> ModelOptions:
        config = self.config
        layers = -1 if config.num_gpu_layers is None else config.num_gpu_layers
        return ModelOptions(
            num_gpu_layers=layers if self._gpus else 0,
            main_gpu=config.main_gpu,
            split_mode=config.split_mode,
            tensor_split=config.tensor_split,
            use_mmap=config.use_mmap,
        )
