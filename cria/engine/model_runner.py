"""`ModelRunner`: a scheduled batch becomes one `llama_decode` and one chosen token per sequence.

With `raw_limit`, the only file of the engine that knows `cria.native`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

import numpy as np

from cria.config import EngineConfig
from cria.engine.capacity import Capacity, Machine, choose_capacity
from cria.engine.scheduler import Limits, ScheduledBatch, Work
from cria.engine.sequence import Sequence
from cria.engine.slots import Prefix
from cria.errors import ModelFileError, NativeError
from cria.ipc.messages import Ready
from cria.native import devices, library
from cria.native.batch import Batch
from cria.native.context import CACHE_TYPE_BYTES, Context, ContextOptions
from cria.native.model import Model, ModelOptions
from cria.native.row_sampling import RowSampler, Sampler
from cria.native.sampler import make_sampler

logger = logging.getLogger(__name__)

BATCH_SIZE_CPU, BATCH_SIZE_GPU = 512, 2048
UBATCH_SIZE_CPU, UBATCH_SIZE_GPU = 512, 1024
PREFILL_CHUNK_CPU, PREFILL_CHUNK_GPU = 64, 512
"""Prompt tokens beside running decodes: what delays each stream's next token."""
MIN_SHARED_UNIFIED, MIN_SHARED_STREAMS = 16, 256
"""In streams the whole stream of the source is copied, and the graph planned anew."""
FILLER_TOKEN = 0
"""Any id will do: nobody reads what it makes of it."""


class ModelRunner:
    """A loaded model with its context, batch and the sampler chains of the running sequences."""

    def __init__(
        self, config: EngineConfig, on_progress: Callable[[float], None] | None = None
    ) -> None:
        """Load everything and compute one token; SetupError says why that is impossible."""
        self._library = library.load()
        self._config = config
        self._gpus = devices.gpus(self._library)
        self.warnings = _warnings(config, bool(self._gpus))
        self._model = Model(self._library, config.model_path, self._model_options(), on_progress)
        if not self._model.has_decoder:
            raise ModelFileError(
                f"{config.model_path} is an embedding model ({self._model.architecture}): it "
                "cannot generate text."
            )
        self._capacity = self._choose_capacity()
        self._unified = self._is_unified()
        self._context = Context(self._model, self._context_options())
        self._batch = Batch(self._context.batch_size)
        self._sampler = RowSampler(self._library, self._capacity.num_slots, self._num_threads())
        self._samplers: dict[int, Sampler] = {}
        self._lengths = [0] * self._capacity.num_slots  # cells that each slot holds
        self._warm_up()

    @property
    def has_gpu(self) -> bool:
        """Some of the layers are on a GPU."""
        return bool(self._gpus) and self._config.num_gpu_layers != 0

    @property
    def end_of_generation(self) -> tuple[int, ...]:
        return self._model.vocab.end_of_generation_ids

    @property
    def limits(self) -> Limits:
        """What the scheduler has to keep to."""
        chunk = PREFILL_CHUNK_GPU if self.has_gpu else PREFILL_CHUNK_CPU
        fillers = 0 if self._unified else self._capacity.num_slots
        return Limits(self._capacity.context_size, self._context.batch_size - fillers, chunk)

    @property
    def min_shared(self) -> int:
        """The length from which taking a prefix over from another slot pays; 0: never."""
        if not (self._model.has_plain_cache and self._config.prefix_cache):
            return 0
        return MIN_SHARED_UNIFIED if self._unified else MIN_SHARED_STREAMS

    @property
    def info(self) -> Ready:
        """What was loaded, and how."""
        layers = self._model.num_layers + 1  # the output layer counts as one
        wanted = self._model_options().num_gpu_layers
        return Ready(
            num_slots=self._capacity.num_slots,
            context_size=self._capacity.context_size,
            num_cells=self._context.num_cells,
            num_parameters=self._model.num_parameters,
            model_bytes=self._model.num_bytes,
            num_gpu_layers=layers if wanted < 0 else min(wanted, layers),
            device=self._gpus[0].description if self.has_gpu else "CPU",
            num_threads=self._num_threads(),
            warnings=self.warnings,
            kv_layout="unified" if self._unified else "streams",
        )

    def run(self, batch: ScheduledBatch) -> list[int]:
        """One step: take prefixes over, decode, choose."""
        work = {item.sequence.slot: item for item in batch.work}
        try:
            for prefix in batch.prefixes:
                self._take_over(prefix)
            chosen = self._compute(work)
        except NativeError:
            for slot in work:
                self._free(slot)
            raise
        return [chosen[slot] for slot, item in work.items() if item.samples]

    def _compute(self, work: dict[int, Work]) -> dict[int, int]:
        """Decode the work of each slot, and choose a token for each slot that gets one."""
        slots = sorted(work)
        self._decode(work, slots if self._unified else range(slots[0], slots[-1] + 1))
        for slot in slots:
            self._lengths[slot] += work[slot].num_tokens
        sampling = [slot for slot in slots if work[slot].samples]
        if not sampling:
            return {}
        logits = self._context.logits(len(sampling))
        tokens = self._sampler.sample(logits, [self._samplers[slot] for slot in sampling])
        return dict(zip(sampling, tokens, strict=True))

    def _decode(self, work: dict[int, Work], slots: Collection[int]) -> None:
        """One forward pass over the work of these slots.

        In streams that is one pass only if the ids are consecutive, so the slots without work get
        a token that is forgotten afterwards. Measured on an H100: one hole among 64 ids costs 8 ms
        of 14, and every other id missing a factor of 12.
        """
        self._batch.clear()
        idle = [slot for slot in slots if slot not in work]
        for slot in slots:
            if slot in work:
                self._append(work[slot])
            else:
                self._batch.append([FILLER_TOKEN], self._lengths[slot], slot, output=False)
        try:
            self._context.decode(self._batch)
        finally:
            for slot in idle:
                self._context.truncate(slot, self._lengths[slot])

    def _append(self, work: Work) -> None:
        """Write the tokens of one sequence into the batch."""
        sequence, start = work.sequence, work.sequence.num_computed_tokens
        if start == sequence.num_cached_tokens:
            self._samplers[sequence.slot] = self._make_sampler(sequence)
        tokens = sequence.prompt[start : start + work.num_tokens]
        if not len(tokens):
            tokens = np.array([sequence.last_token], np.int32)
        self._batch.append(tokens, start, sequence.slot, work.samples)

    def _make_sampler(self, sequence: Sequence) -> Sampler:
        return make_sampler(
            self._model.vocab,
            sequence.params,
            sequence.prompt.tolist(),
            self._capacity.context_size,
        )

    def _take_over(self, prefix: Prefix) -> None:
        """Make a slot hold the first tokens of its source, and nothing else."""
        slot, source, length = prefix
        if slot == source and length:
            self._context.truncate(slot, length)
        else:
            self._free(slot)
            if length:
                self._context.copy(source, slot, length)
        self._lengths[slot] = length

    def _free(self, slot: int) -> None:
        self._context.remove(slot)
        self._lengths[slot] = 0
        sampler = self._samplers.pop(slot, None)
        if sampler is not None:
            sampler.close()

    def _warm_up(self) -> None:
        """Compute one token: a model that kills the process does so now, not on a request."""
        self._batch.append([self.end_of_generation[0] if self.end_of_generation else 0], 0, 0, True)
        self._context.decode(self._batch)
        self._context.clear()

    def _model_options(self) -> ModelOptions:
        config = self._config
        layers = -1 if config.num_gpu_layers is None else config.num_gpu_layers
        return ModelOptions(
            num_gpu_layers=layers if self._gpus else 0,
            main_gpu=config.main_gpu,
            split_mode=config.split_mode,
            tensor_split=config.tensor_split,
            use_mmap=config.use_mmap,
        )

    def _context_options(self) -> ContextOptions:
        config, gpu = self._config, self.has_gpu
        batch_size = config.batch_size or (BATCH_SIZE_GPU if gpu else BATCH_SIZE_CPU)
        ubatch_size = config.ubatch_size or (UBATCH_SIZE_GPU if gpu else UBATCH_SIZE_CPU)
        return ContextOptions(
            num_cells=self._capacity.num_cells,
            num_sequences=self._capacity.num_slots,
            batch_size=min(
                batch_size + (0 if self._unified else self._capacity.num_slots),
                self._capacity.num_cells,
            ),
            ubatch_size=min(ubatch_size, batch_size),
            num_threads=self._num_threads(),
            flash_attention=config.flash_attention,
            cache_type_k=config.cache_type_k,
            cache_type_v=config.cache_type_v,
            unified=self._unified,
        )

    def _is_unified(self) -> bool:
        wanted = self._config.kv_layout
        if not self._model.has_plain_cache:
            return True
        return not self.has_gpu if wanted == "auto" else wanted == "unified"

    def _num_threads(self) -> int:
        return self._config.num_threads or devices.num_cores()

    def _choose_capacity(self) -> Capacity:
        free = (
            sum(gpu.free_bytes for gpu in devices.gpus(self._library))
            if self.has_gpu
            else devices.free_main_memory()
        )
        bytes_per_cell = self._model.kv_bytes_per_token(
            CACHE_TYPE_BYTES[self._config.cache_type_k], CACHE_TYPE_BYTES[self._config.cache_type_v]
        )
        machine = Machine(self.has_gpu, free)
        return choose_capacity(self._config, machine, self._model.training_context, bytes_per_cell)


def _warnings(config: EngineConfig, has_gpu: bool) -> list[str]:
    if has_gpu or not (config.require_gpu or config.num_gpu_layers):
        return []
    return ["No GPU can be used by this build on this machine: the CPU computes everything."]
