"""`valle plan train`: the memory of a training, before it starts."""

import os
from functools import partial
from typing import Annotated

from valle.cli.arguments import FIELDS, say
from valle.cli.lake.options import LakeOptions
from valle.model.config import PRESETS
from valle.training.options import TrainOptions, TrainSettings, locate_checkpoints
from warehouse.catalogue.display import format_table


class PlanTrainOptions(LakeOptions):
    """Options of `valle plan train`, a part of those of `valle train`."""

    training_set: str
    """Name of the training set."""
    models: tuple[str, ...] = tuple(PRESETS)
    """Sizes of model to forecast; with start_from that of the checkpoint is."""
    options: TrainSettings = TrainSettings()
    """Options of the model and the training."""


def plan_train(*, options: Annotated[PlanTrainOptions, FIELDS]) -> int:
    """Print the memory of one rank by size of model, precision and ZeRO stage, in gigabytes."""
    from valle.checkpoints.runs import newest_checkpoint
    from valle.data.selection.training_set import load_training_set
    from valle.training.engines.nodes import count_ranks
    from valle.training.memory_plan import forecast_memory, memory_table

    root = options.data_root
    folder = root.training_sets / options.training_set
    settings = locate_checkpoints(options.options, partial(newest_checkpoint, root.runs))
    asked = TrainOptions(**settings.model_dump(), training_set=folder, run_dir=root.root)
    found = forecast_memory(load_training_set(folder), asked, models=options.models)
    say(format_table(memory_table(found)))
    ranks = count_ranks(asked.nodes, asked.processes, os.environ)
    say(
        f"One rank of {ranks} with batches of {asked.batch_tokens} slots, at the end of a forward pass. "
        "Libraries, and on GPUs their context and buffers, come on top."
    )
    return 0
