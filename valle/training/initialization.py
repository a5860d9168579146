"""The model of a run: its configuration, and its weights before the first update."""

from pathlib import Path

import pyarrow.compute as pc
import torch

from valle.checkpoints.checkpoint import CheckpointCard, load_weights, read_card
from valle.codec import open_codec
from valle.data.selection.training_set import TrainingSet
from valle.model.code_initialization import init_code_embeddings
from valle.model.config import ModelConfig, preset
from valle.model.valle import ValleModel
from valle.phonemes import PhonemeTable
from valle.phonemes.pieces import AnyTable
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError, TrainingError


def model_config(training_set: TrainingSet, options: TrainOptions, earlier: Path | None = None) -> ModelConfig:
    """Build the configuration of a run: its size from the options, everything else from the training set.

    The text stride of an `earlier` checkpoint is kept: its weights were trained with these positions. Of imported
    weights everything is kept, and TrainingError is raised for a language that they lack.
    """
    items = training_set.items
    languages = items["language"].unique().to_pylist()
    if earlier is not None and (imported := read_card(earlier)).phoneme_strings:
        if missing := sorted(set(languages) - set(imported.model.languages)):
            raise TrainingError(f"{earlier} does not know {', '.join(missing)}; select other languages.")
        return imported.model.model_copy(update={"dropout": options.dropout})
    num_symbols = max(1, pc.sum(pc.list_value_length(items["symbols"])).as_py() or 0)
    num_frames = pc.sum(items["num_frames"]).as_py() or 0
    stride = max(0.01, round(num_frames / num_symbols, 2)) if earlier is None else read_card(earlier).model.text_stride
    card = training_set.card
    return preset(
        options.model,
        card.codec,
        num_symbols=len(card.phoneme_symbols),
        languages=languages,
        text_stride=stride,
        group=options.group,
        dropout=options.dropout,
    )


def phoneme_table_of(training_set: TrainingSet, earlier: Path | None) -> AnyTable:
    """Return the phoneme table of a run: that of the training set, or of imported weights that it continues."""
    card = None if earlier is None else read_card(earlier)
    return card.phoneme_table if card and card.phoneme_strings else PhonemeTable(training_set.card.phoneme_symbols)


def initialize(model: ValleModel, training_set: TrainingSet, options: TrainOptions) -> None:
    """Replace the random weights of a new run: by a checkpoint's, or those of codes by the codec's vectors.

    Raises CheckpointError for a checkpoint of another model and TrainingError for a codec that is not installed.
    """
    spec = training_set.card.codec
    if options.start_from is not None:
        card, table = read_card(options.start_from), phoneme_table_of(training_set, options.start_from)
        check_card(card, options.start_from, model.config, training_set, table)
        load_weights(options.start_from, model)
    elif options.init_code_embeddings == "codec":
        codec = open_codec(spec.name)
        if codec.spec != spec:
            raise TrainingError(
                f"The codes are of {spec.label}, and {codec.spec.revision} is installed; install that revision or set "
                "init_code_embeddings to random."
            )
        init_code_embeddings(model, torch.from_numpy(codec.codebooks), seed=options.seed)


def check_card(
    card: CheckpointCard, checkpoint: Path, config: ModelConfig, training_set: TrainingSet, table: AnyTable
) -> None:
    """Compare a checkpoint with a run. Raises CheckpointError for another model, codec or phoneme table."""
    # Dropout changes training, not the shapes of the weights.
    model = card.model.model_copy(update={"dropout": config.dropout})
    pairs = {
        "model": (model, config),
        "codec": (card.codec, training_set.card.codec),
        "phoneme table": (card.phoneme_symbols[: len(table)], table.symbols),
    }
    for name, (found, expected) in pairs.items():
        if found != expected:
            raise CheckpointError(
                f"The {name} of checkpoint {checkpoint} is not that of this run ({found} against {expected}); "
                "train in a new run directory."
            )
