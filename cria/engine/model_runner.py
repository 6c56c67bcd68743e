"""`ModelRunner`: a scheduled batch becomes one `llama_decode` and one chosen token per sequence.

With `batching`, `loaded_model`, `embedder` and `raw_limit`, the only files of the engine that know
`cria.native`.
"""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from cria.adapter_set import BASE, AdapterSet
from cria.config import EngineConfig
from cria.engine.batching import Batching, PaddedBatching
from cria.engine.capacity import Machine, choose_capacity
from cria.engine.constrained_rows import ConstrainedRows
from cria.engine.ending import NAN_TOKEN, NO_TOKEN
from cria.engine.limits import Limits
from cria.engine.loaded_model import LoadedModel
from cria.engine.pacing import PrefillPacer
from cria.engine.scheduled import NO_LOGPROBS, ScheduledBatch, StepLogprobs
from cria.engine.sequence import Sequence
from cria.engine.slots import Capacity, SlotPool, Tokens
from cria.errors import ModelFileError, SetupError
from cria.ipc.messages import Ready
from cria.logprobs import TokenLogprobs
from cria.native.context import CACHE_TYPE_BYTES, Context, ContextOptions
from cria.native.row_sampling import RowSampler, score_rows
from cria.native.sampler import Sampler, make_sampler

logger = logging.getLogger(__name__)

BATCH_SIZE_CPU, BATCH_SIZE_GPU = 512, 2048
UBATCH_SIZE_CPU, UBATCH_SIZE_GPU = 512, 2048
NUM_SCORED_ROWS = 128
"""Of prompts whose log probabilities are wanted, in one step: each takes 4 bytes for every token of
the vocabulary."""
STREAM_UNIT = 256
"""The cells of one sequence are a multiple of it, where each has a part of its own."""
MIN_SHARED_UNIFIED, MIN_SHARED_STREAMS_CPU, MIN_SHARED_STREAMS_GPU = 16, 64, 256
"""In streams the whole stream of the source is copied, and the graph planned anew."""


class ModelRunner:
    """A loaded model with its context, batch and the sampler chains of the running sequences."""

    def __init__(self, loaded: LoadedModel, *, pads_streams: bool | None = None) -> None:
        """Compute one token of a model with a decoder; SetupError says why that is impossible.

        `pads_streams` is for tests on a CPU, which does not by itself.
        """
        self._loaded = loaded
        self._config, self._model = loaded.config, loaded.model
        self._library = self._model.library
        self.warnings = [*loaded.warnings, *_warnings(self._config, self._model.has_plain_cache)]
        self._pads_streams = self.has_gpu if pads_streams is None else pads_streams
        self._context = self._make_context()
        self._adapters = BASE
        loaded.adapters.steer(self._context)
        if loaded.progress_counter is not None:
            self._context.count_progress(loaded.progress_counter)
        self._batching = self._layout(self._context, self._capacity.num_slots)
        self._sampler = RowSampler(self._library, self._capacity.num_slots, loaded.num_threads)
        self._constrained = ConstrainedRows(
            self._sampler, self._context.vocab_size, self.end_of_generation
        )
        self._samplers: dict[int, Sampler] = {}  # by request id
        self._failures: dict[int, str] = {}  # by request id
        self._rows = np.zeros(0, np.int32)
        self._wants_logprobs = np.zeros(self._capacity.num_slots, bool)
        self._request_ids: dict[int, int] = {}  # by slot
        self._warm_up()

    @property
    def has_gpu(self) -> bool:
        """Some of the layers are on a GPU."""
        return self._loaded.has_gpu

    @property
    def end_of_generation(self) -> tuple[int, ...]:
        return self._model.vocab.end_of_generation_ids

    @property
    def limits(self) -> Limits:
        """What the scheduler has to keep to."""
        return Limits(
            self._capacity.context_size,
            self._context.batch_size - self._extra_tokens,
            self._context.vocab_size,
            NUM_SCORED_ROWS,
        )

    def make_pool(self) -> SlotPool:
        """Slots with the sizes of this context."""
        return SlotPool(self._capacity, min_shared=self.min_shared, shares_cells=self._unified)

    def make_pacer(self) -> PrefillPacer:
        """For the promise of `--max-stall-ms`."""
        return self._loaded.make_pacer()

    @property
    def min_shared(self) -> int:
        """The length from which taking a prefix over from another slot pays; 0: never."""
        if not (self._model.has_plain_cache and self._config.prefix_cache):
            return 0
        if self._unified:
            return MIN_SHARED_UNIFIED
        return MIN_SHARED_STREAMS_GPU if self.has_gpu else MIN_SHARED_STREAMS_CPU

    @property
    def info(self) -> Ready:
        """What was loaded, and how."""
        return self._loaded.ready(
            num_slots=self._capacity.num_slots,
            context_size=self._capacity.context_size,
            num_cells=self._capacity.num_cells,
            warnings=self.warnings,
            kv_layout="unified" if self._unified else "streams",
        )

    def start(self, batch: ScheduledBatch) -> None:
        """Begin a step: take prefixes over, write the batch, and let a GPU compute it.

        NativeError: nothing is computed; then call `lose`.
        """
        for request_id in batch.ended:
            self._samplers.pop(request_id, None)
        for sequence in batch.admitted:
            sampler = self._sampler_or_failure(sequence)
            constrained = sequence.matcher is not None
            self._sampler.assign(
                sequence.slot, sampler, sequence.params.logprobs, proposes=constrained
            )
            self._constrained.assign(sequence.slot, sequence.matcher)
            self._wants_logprobs[sequence.slot] = sequence.params.logprobs is not None
            self._request_ids[sequence.slot] = sequence.request_id
        for prefix in batch.prefixes:
            self._batching.take_over(prefix)
        if batch.adapters != self._adapters:
            self.use_adapters(batch.adapters)
        self._rows = self._batching.write(batch)
        if self.has_gpu:
            self._context.submit(self._batching.batch)

    def use_adapters(self, adapters: AdapterSet) -> None:
        """From the next step on; costs some milliseconds if they are others than before."""
        self._loaded.adapters.apply(self._context, adapters)
        self._adapters = adapters

    def finish(self, batch: ScheduledBatch) -> Tokens:
        """The tokens that were chosen, in the order of `batch.sampling_slots`.

        A CPU computes here: nobody could do anything meanwhile. NativeError as from `start`.
        """
        if not self.has_gpu:
            self._context.submit(self._batching.batch)
        self._context.wait()
        rows = self._rows
        if not len(rows):
            return rows
        logits = self._logits_to_sample()
        tokens = self._sampler.sample(logits, rows)
        self._constrained.settle(tokens, rows, logits)
        _mark_nan(tokens, logits)
        self._batching.last_tokens[rows] = tokens
        if rows is batch.decodes:
            return tokens
        in_order: Tokens = self._batching.last_tokens[batch.sampling_slots]
        return in_order

    def logprobs(self, batch: ScheduledBatch) -> StepLogprobs:
        """Those that the sequences of the finished step have asked for."""
        wanting = np.flatnonzero(self._wants_logprobs[self._rows]).tolist()
        if not (wanting or self._batching.scored):
            return NO_LOGPROBS
        return StepLogprobs(self._chosen_logprobs(wanting), self._prompt_logprobs())

    def lose(self, batch: ScheduledBatch) -> None:
        """Free all cells of the sequences of a batch that failed."""
        slots = [*batch.decodes.tolist(), *(work.sequence.slot for work in batch.prefills)]
        self._batching.free(slots)

    def take_failures(self) -> dict[int, str]:
        """What went wrong with single sequences of the finished step, by request id."""
        failures, self._failures = self._failures, {}
        return failures

    def _chosen_logprobs(self, rows: list[int]) -> dict[int, TokenLogprobs]:
        entries = {int(self._rows[row]): self._sampler.logprobs(row) for row in rows}
        return {self._request_ids[slot]: entry for slot, entry in entries.items() if entry}

    def _prompt_logprobs(self) -> dict[int, list[TokenLogprobs]]:
        logits = self._context.logits(self._num_rows)
        return {
            rows.request_id: score_rows(
                self._library,
                logits[rows.first : rows.first + len(rows.targets)],
                rows.targets,
                rows.num_top,
            )
            for rows in self._batching.scored
        }

    @property
    def _num_rows(self) -> int:
        return len(self._rows) + sum(len(rows.targets) for rows in self._batching.scored)

    def _logits_to_sample(self) -> npt.NDArray[np.float32]:
        """The rows from which tokens are chosen; a copy only where there are others too."""
        logits = self._context.logits(self._num_rows)
        if not self._batching.scored:
            return logits
        is_sampled = np.ones(self._num_rows, bool)
        for rows in self._batching.scored:
            is_sampled[rows.first : rows.first + len(rows.targets)] = False
        return logits[is_sampled]

    def _sampler_or_failure(self, sequence: Sequence) -> Sampler:
        """Whatever is wrong with one request's sampler is no other's concern."""
        try:
            return self._sampler_of(sequence)
        except Exception as error:
            logger.exception("a sampler cannot be made")
            self._failures[sequence.request_id] = f"its sampler cannot be made ({error})"
            return None

    def _sampler_of(self, sequence: Sequence) -> Sampler:
        """One for the whole life of a sequence: preempted or not, it goes on with its numbers."""
        if sequence.request_id not in self._samplers:
            self._samplers[sequence.request_id] = make_sampler(
                self._model.vocab,
                sequence.params,
                sequence.prompt,
                self._capacity.context_size,
            )
        return self._samplers[sequence.request_id]

    def _warm_up(self) -> None:
        """Compute one token: a model that kills the process does so now, not on a request."""
        batch = self._batching.batch
        batch.append([self.end_of_generation[0] if self.end_of_generation else 0], 0, 0, True)
        self._context.decode(batch)
        if np.isnan(self._context.logits(1)).any():
            raise ModelFileError(
                f"{self._config.model_path} computes nothing but NaN: its weights are damaged; "
                "fetch or convert it again."
            )
        self._context.clear()

    def _make_context(self, num_tries: int = 5) -> Context:
        """A smaller one where there is no memory for it after all, if its size is our choice."""
        self._unified = self._is_unified()
        self._capacity = self._choose_capacity(pools_cells=self._unified)
        try:
            return Context(self._model, self._context_options())
        except SetupError as error:
            if num_tries == 1 or not self._config.may_shrink:
                raise
            logger.warning("%s Trying half of that.", error)
        self._config = self._config.with_less_than(self._capacity.num_cells)
        return self._make_context(num_tries - 1)

    def _context_options(self) -> ContextOptions:
        config, gpu = self._config, self.has_gpu
        batch_size = config.batch_size or (BATCH_SIZE_GPU if gpu else BATCH_SIZE_CPU)
        batch_size = max(batch_size, self._capacity.num_slots)  # or decodes would starve prompts
        ubatch_size = config.ubatch_size or (UBATCH_SIZE_GPU if gpu else UBATCH_SIZE_CPU)
        return ContextOptions(
            num_cells=self._num_native_cells,
            num_sequences=self._capacity.num_slots,
            batch_size=min(batch_size + self._extra_tokens, self._num_native_cells),
            ubatch_size=min(ubatch_size, batch_size),
            num_threads=self._loaded.num_threads,
            num_outputs=self._capacity.num_slots + NUM_SCORED_ROWS,
            flash_attention=config.flash_attention,
            cache_type_k=config.cache_type_k,
            cache_type_v=config.cache_type_v,
            unified=self._unified,
        )

    @property
    def _num_native_cells(self) -> int:
        """llama.cpp rounds up the part of a sequence, but only after it has limited the batch.

        Of a small context's cells, the extra tokens would leave nothing for prompts.
        """
        if self._unified:
            return self._capacity.num_cells
        num_units = -(-self._capacity.context_size // STREAM_UNIT)
        return self._capacity.num_slots * num_units * STREAM_UNIT

    @property
    def _layout(self) -> type[Batching]:
        return PaddedBatching if self._pads_streams and not self._unified else Batching

    @property
    def _extra_tokens(self) -> int:
        """Of a batch, which the scheduler may not use."""
        return self._layout.extra_tokens_per_slot * self._capacity.num_slots

    def _is_unified(self) -> bool:
        """What was asked for; else streams, unless a pool holds more in the same memory.

        Attention looks at all cells of a pool, whoever's they are: a GPU multiplies them, a CPU
        looks at each one's mask. In streams it looks at the sequence's own ones.
        """
        wanted = self._config.kv_layout
        if not self._model.has_plain_cache:
            return True
        if wanted != "auto":
            return wanted == "unified"
        if self._config.num_cells:
            return True
        return not self.has_gpu and self._holds_more_in_a_pool()

    def _holds_more_in_a_pool(self) -> bool:
        pool = self._choose_capacity(pools_cells=True)
        try:
            parts = self._choose_capacity(pools_cells=False)
        except SetupError:
            return True
        return parts[:2] < pool[:2]

    def _choose_capacity(self, *, pools_cells: bool) -> Capacity:
        bytes_per_cell = self._model.kv_bytes_per_token(
            CACHE_TYPE_BYTES[self._config.cache_type_k], CACHE_TYPE_BYTES[self._config.cache_type_v]
        )
        machine = Machine(self.has_gpu, self._loaded.free_bytes())
        return choose_capacity(
            self._config,
            machine,
            self._model.training_context,
            bytes_per_cell,
            pools_cells=pools_cells,
        )


def _mark_nan(tokens: Tokens, logits: npt.NDArray[np.float32]) -> None:
    """Tell rows from which nothing can be chosen from those that are no numbers."""
    for row in np.flatnonzero(tokens == NO_TOKEN).tolist():
        if not np.isfinite(logits[row].max()):  # NaN if one of them is
            tokens[row] = NAN_TOKEN


def _warnings(config: EngineConfig, has_plain_cache: bool) -> list[str]:
    """What was asked for and cannot be had."""
    if config.kv_layout == "streams" and not has_plain_cache:
        return ["This model's cache cannot be divided into streams: it is a unified one."]
    return []
