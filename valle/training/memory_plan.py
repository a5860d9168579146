"""Forecast the memory of a training: weights, gradients, optimizer and activations of one rank.

Nothing is guessed that can be measured cheaply: the model is built with one layer and with two, both run an update on
two batches of the training set, and the differences are the cost of a layer and of a slot. A model of full depth and a
batch of full size never exist.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from valle.data.cursor import Cursor
from valle.data.selection.training_set import TrainingSet
from valle.model.batch import Batch
from valle.model.config import PRESETS, ModelConfig
from valle.model.valle import ValleModel
from valle.training.data import open_data
from valle.training.engines.engine import PlainEngine
from valle.training.engines.memory_estimate import Sizes, states_of_a_rank
from valle.training.initialization import choose_trained, model_config, phoneme_table_of
from valle.training.options import TrainOptions

# Slots of the two batches that are measured, at most.
_MEASURED_SLOTS = (384, 1024)
_PARTS = ("weights", "gradients", "optimizer", "activations", "total")


@dataclass(frozen=True, slots=True)
class MemoryForecast:
    """Bytes of one rank at the end of a forward pass, when most is allocated."""

    model: str
    parameters: int
    engine: str
    precision: str
    zero_stage: int | None
    checkpointing: bool
    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """Return the sum; libraries, the CUDA context and buffers of communication come on top."""
        return self.weights + self.gradients + self.optimizer + self.activations


def forecast_memory(
    training_set: TrainingSet, options: TrainOptions, *, models: Sequence[str] = tuple(PRESETS)
) -> list[MemoryForecast]:
    """Forecast one rank of a run with `options`, in every precision and ZeRO stage that its engine allows.

    Without `start_from` for each of `models`, otherwise for the size of the checkpoint. Raises TrainingError for a
    training set that cannot be trained on, ConfigurationError for nodes that cannot be read.
    """
    names = [options.model] if options.start_from is not None else models
    return [row for name in names for row in _forecast_model(training_set, options.model_copy(update={"model": name}))]


def _forecast_model(training_set: TrainingSet, options: TrainOptions) -> Iterator[MemoryForecast]:
    config = model_config(training_set, options)
    batches = [_first_batch(training_set, config, options, slots) for slots in _MEASURED_SLOTS]
    for precision in ("fp32", "bf16"):
        chosen = options.model_copy(update={"precision": precision})
        one, two = (_of_full_batch(_with_depth(config, depth), batches, chosen) for depth in (1, 2))
        whole = one.extrapolate(two, config.depth - 1)
        inputs = config.width * 4.0 * options.batch_tokens
        stored = {
            False: whole.activations,
            # Each layer stores its input; one layer at a time is computed again (Chen et al., arXiv 1604.06174).
            True: one.activations + (config.depth - 1) * inputs,
        }
        for stage, checkpointing in product(_stages(options, precision), (False, True)):
            yield MemoryForecast(
                options.model,
                round(whole.weights / 4),
                options.engine,
                precision,
                stage,
                checkpointing,
                *states_of_a_rank(whole, chosen, stage),
                stored[checkpointing],
            )


def _stages(options: TrainOptions, precision: str) -> Sequence[int | None]:
    if options.engine == "plain":
        return (None,)
    return (0, 1, 2, 3) if precision == "fp32" else (1, 2, 3)


def _of_full_batch(config: ModelConfig, batches: Sequence[Batch], options: TrainOptions) -> Sizes:
    """Measure two batches and return the sizes of one of `batch_tokens` slots.

    Copies of the weights in half precision do not grow with the slots.
    """
    small, large = (measure(config, batch, options) for batch in batches)
    first, second = (batch.positions.numel() for batch in batches)
    if first == second:
        return replace(large, activations=large.activations * options.batch_tokens / second)
    return small.extrapolate(large, (options.batch_tokens - first) / (second - first))


def _first_batch(training_set: TrainingSet, config: ModelConfig, options: TrainOptions, slots: int) -> Batch:
    table = phoneme_table_of(training_set, options.start_from)
    small = options.model_copy(update={"batch_tokens": min(options.batch_tokens, slots)})
    with open_data(training_set, config, small, table).batches(Cursor(), rank=0, world_size=1, prefetch=1) as batches:
        batch, _ = next(iter(batches))
    return batch


def _with_depth(config: ModelConfig, depth: int) -> ModelConfig:
    return config.model_copy(update={"depth": depth})


def measure(config: ModelConfig, batch: Batch, options: TrainOptions) -> Sizes:
    """Run one update of a model with random weights and count what it allocates, in bytes."""
    with torch.random.fork_rng(devices=[]):
        model = ValleModel(config)
        choose_trained(model, options)
        engine = PlainEngine(model, options.model_copy(update={"device": "cpu"}))
        activations = _stored_activations(engine, model, batch)
        engine.update(options.learning_rate)
    return Sizes(
        weights=sum(_bytes(one) for one in model.parameters()),
        trained=sum(_bytes(one) for one in model.parameters() if one.requires_grad),
        optimizer=sum(_bytes(one) for one in _tensors(engine.state()["optimizer"])),
        activations=activations,
    )


def _stored_activations(engine: PlainEngine, model: ValleModel, batch: Batch) -> float:
    """Run forward and backward; return the bytes of the tensors that the forward pass stored for the backward pass."""
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    stored: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            stored[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        engine.accumulate(batch, batch.num_labels)
    return float(sum(stored.values()))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list):  # several optimizers as one have a list of states
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


def memory_table(forecasts: Sequence[MemoryForecast]) -> pa.Table:
    """Return the forecasts as a table in gigabytes, without columns that have no value."""
    rows = [
        {
            "model": one.model,
            "parameters": f"{one.parameters / 1e6:.1f} M",
            "precision": one.precision,
            "zero_stage": one.zero_stage,
            "checkpointing": "yes" if one.checkpointing else "no",
            **{f"{name}_gb": round(getattr(one, name) / 1e9, 2) for name in _PARTS},
        }
        for one in forecasts
    ]
    table = pa.Table.from_pylist(rows)
    empty = [name for name in table.column_names if table[name].null_count == table.num_rows]
    return table.drop_columns(empty)
