"""Weights and contexts of llama.cpp: vectors with positions in, hidden states out."""

import ctypes
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valle.llama_cpp.binding import DECODE, FLOAT32, Vectors, open_library
from warehouse.errors import CheckpointError, PipelineError

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
_POSITIONS = 4


class Weights:
    """The trunk of a GGUF file, on the CPU."""

    def __init__(self, path: Path) -> None:
        """Load the file. Raises ConfigurationError without llama.cpp, CheckpointError for a file it cannot read."""
        self.llama = open_library()
        parameters = self.llama.llama_model_default_params()
        parameters.gpu_layers = 0
        self.pointer = self.llama.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.pointer:
            raise CheckpointError(f"llama.cpp cannot load {path}; export it again by `valle export --format gguf`.")
        weakref.finalize(self, self.llama.llama_model_free, self.pointer)


class Context:
    """Memory for `cells` slots of `rows` rows, and passes of at most `batch` slots.

    Keys and values are kept in fp32: half precision moves logits by more than the types of the weights do.
    """

    def __init__(self, weights: Weights, *, cells: int, rows: int, batch: int, threads: int, is_causal: bool) -> None:
        self.cells, self.batch = cells, batch
        self._llama = weights.llama
        parameters = self._llama.llama_context_default_params()
        parameters.cells, parameters.rows = cells, rows
        parameters.batch = parameters.micro_batch = batch
        parameters.threads = parameters.batch_threads = threads
        parameters.pooling = parameters.flash_attention = 0
        parameters.key_type = parameters.value_type = FLOAT32
        parameters.embeddings = parameters.is_unified = True
        self._pointer = self._llama.llama_init_from_model(weights.pointer, parameters)
        if not self._pointer:
            raise PipelineError(f"llama.cpp has no memory for {cells} slots; speak shorter or fewer texts at a time.")
        self._llama.llama_set_causal_attn(self._pointer, is_causal)
        self._slots = self._llama.llama_batch_ext_init(self._pointer)
        self._memory = self._llama.llama_get_memory(self._pointer)
        # With the weights, which must outlive the context.
        weakref.finalize(self, _free, weights, self._slots, self._pointer)

    def run(self, vectors: Floats, positions: Ints, orders: Ints, rows: Ints) -> Floats:
        """Compute the hidden states [n, width] of n slots, at most a batch, and store their keys and values.

        `vectors` [n, width] have rotary `positions` [n]; `orders` [n] are the indices within their `rows` [n].
        """
        llama, slots = self._llama, self._slots
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        places = np.zeros((len(vectors), _POSITIONS), dtype=np.int32)
        places[:, 0], places[:, 1] = orders, positions
        width = vectors.shape[1]
        llama.llama_batch_ext_clear(slots)
        for index, row in enumerate(rows.tolist()):
            llama.llama_batch_ext_add_embd(slots, row, Vectors(vectors[index].ctypes.data, 1, width))
            llama.llama_batch_ext_set_pos(slots, index, places[index].ctypes.data)
            llama.llama_batch_ext_set_output_embd(slots, index, True)
        if status := llama.llama_process(self._pointer, DECODE, slots):
            raise PipelineError(f"llama.cpp failed with status {status} on {len(vectors)} slots.")
        hidden = llama.llama_get_embeddings(self._pointer)
        return np.ctypeslib.as_array(hidden, vectors.shape).copy()

    def clear(self) -> None:
        """Forget all rows."""
        self._llama.llama_memory_clear(self._memory, False)

    def remove(self, row: int, start: int = 0) -> None:
        """Forget the slots of a row from index `start` on."""
        self._llama.llama_memory_seq_rm(self._memory, row, start, -1)

    def copy(self, row: int, target: int) -> None:
        """Let the unused row `target` share the slots of a row."""
        self._llama.llama_memory_seq_cp(self._memory, row, target, -1, -1)

    def save(self, row: int) -> bytes:
        """Return the keys and values of a row."""
        size = self._llama.llama_state_seq_get_size(self._pointer, row)
        state = ctypes.create_string_buffer(size)
        written = self._llama.llama_state_seq_get_data(self._pointer, state, size, row)
        return state.raw[:written]

    def restore(self, row: int, state: bytes) -> None:
        """Fill an unused row with what `save` returned."""
        if not self._llama.llama_state_seq_set_data(self._pointer, state, len(state), row):
            raise PipelineError("llama.cpp could not move the memory of a row.")


def _free(weights: Weights, slots: int, context: int) -> None:
    weights.llama.llama_batch_ext_free(slots)
    weights.llama.llama_free(context)
