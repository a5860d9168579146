"""The model of a run: its configuration, and its weights before the first update."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
import torch

from valle.checkpoints.adapters import hash_weights
from valle.checkpoints.checkpoint import OWN_ADAPTER, CheckpointCard, load_weights, read_card, read_weights
from valle.codec import open_codec
from valle.data.selection.training_set import TrainingSet
from valle.model.adapters.lora import LoraAdapter
from valle.model.adapters.options import match_names
from valle.model.code_initialization import init_code_embeddings
from valle.model.config import ModelConfig, find_size, preset, size_of
from valle.model.valle import ValleModel
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError, ConfigurationError, TrainingError


def model_config(
    training_set: TrainingSet, options: TrainOptions, resumed: CheckpointCard | None = None
) -> ModelConfig:
    """Build the configuration of a run: that of `start_from`, or its size from the options and the rest from the data.

    The text stride of a `resumed` run is kept: its weights were trained with these positions. Raises CheckpointError
    for options or languages that contradict `start_from`.
    """
    items = training_set.items
    languages = items["language"].unique().to_pylist()
    if options.start_from is not None:
        return _based_on(read_card(options.start_from).model, options, languages)
    if resumed is not None and resumed.options.get("start_from"):
        return _based_on(resumed.model, options, languages)
    num_symbols = max(1, pc.sum(pc.list_value_length(items["symbols"])).as_py() or 0)
    num_frames = pc.sum(items["num_frames"]).as_py() or 0
    stride = max(0.01, round(num_frames / num_symbols, 2)) if resumed is None else resumed.model.text_stride
    card = training_set.card
    return preset(
        options.model,
        card.codec,
        num_symbols=len(card.phoneme_symbols),
        languages=languages,
        text_stride=stride,
        group=options.group,
        dropout=options.dropout,
        trunk=options.trunk,
        experts=options.experts,
        router_loss=options.router_loss,
        kv_heads=options.kv_heads,
        lookahead=options.lookahead,
    )


def _based_on(config: ModelConfig, options: TrainOptions, languages: Sequence[str]) -> ModelConfig:
    """Return the configuration of a run on a base: the base's, and what may be added to its weights.

    Raises CheckpointError when options or languages are not those of the base.
    """
    names = ("model", "trunk", "experts", "kv_heads", "group")
    given = {name: getattr(options, name) for name in names if name in _given(options)}
    is_other_size = "model" in given and size_of(config) != find_size(given["model"])
    if is_other_size or any(getattr(config, name) != given[name] for name in given if name != "model"):
        shown = " and ".join(f"{name} {value}" for name, value in given.items())
        raise CheckpointError(f"The checkpoint that the run starts from has another {shown}; leave them out.")
    if unknown := sorted(set(languages) - set(config.languages)):
        raise CheckpointError(
            f"The checkpoint that the run starts from has no language {', '.join(unknown)}; select others, or train "
            "without start_from."
        )
    return config.model_copy(update={"dropout": options.dropout, "lookahead": options.lookahead or config.lookahead})


def _given(options: TrainOptions) -> set[str]:
    """Return the options that differ from their defaults: forms and files give every option."""
    fields = type(options).model_fields
    return {name for name, field in fields.items() if getattr(options, name) != field.default}


def base_hash(options: TrainOptions) -> str:
    """Return the hash of the weights that an adapter is trained on. Raises CheckpointError when they are unreadable."""
    assert options.start_from is not None, "options refuse an adapter without start_from"
    return hash_weights(read_weights(options.start_from))


def choose_trained(model: ValleModel, options: TrainOptions) -> None:
    """Freeze what the options freeze: parameters by name, or with an adapter everything but it.

    Raises ConfigurationError for a name that no parameter or layer has, and when nothing is left to train.
    """
    if options.lora.rank:
        model.requires_grad_(False)
        model.adapters.attach(model, OWN_ADAPTER, LoraAdapter(model, options.lora))
        model.adapters.strengths = {OWN_ADAPTER: 1.0}
        return
    parameters = dict(model.named_parameters())
    for name in match_names(parameters, options.freeze, "parameter"):
        parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ConfigurationError("Every parameter is frozen; leave one out of freeze.")


def initialize(model: ValleModel, training_set: TrainingSet, options: TrainOptions) -> None:
    """Replace the random weights of a new run: by a checkpoint's, or those of codes by the codec's vectors.

    Raises CheckpointError for a checkpoint of another model and TrainingError for a codec that is not installed.
    """
    spec = training_set.card.codec
    if options.start_from is not None:
        check_card(read_card(options.start_from), options.start_from, model.config, training_set)
        load_weights(options.start_from, model, allow_new=("lookahead.",))
    elif options.init_code_embeddings == "codec":
        codec = open_codec(spec.name)
        if codec.spec != spec:
            raise TrainingError(
                f"The codes are of {spec.label}, and {codec.spec.revision} is installed; install that revision or set "
                "init_code_embeddings to random."
            )
        init_code_embeddings(model, torch.from_numpy(codec.codebooks), seed=options.seed)


def check_card(card: CheckpointCard, checkpoint: Path, config: ModelConfig, training_set: TrainingSet) -> None:
    """Compare a checkpoint with a run. Raises CheckpointError for another model, codec or phoneme table."""
    # Dropout changes training, not the shapes of the weights, and heads for guesses are added to them.
    added = {"lookahead": config.lookahead} if not card.model.lookahead else {}
    model = card.model.model_copy(update={"dropout": config.dropout, **added})
    pairs = {
        "model": (model, config),
        "codec": (card.codec, training_set.card.codec),
        "phoneme table": (card.phoneme_symbols, training_set.card.phoneme_symbols),
    }
    for name, (found, expected) in pairs.items():
        if found != expected:
            raise CheckpointError(
                f"The {name} of checkpoint {checkpoint} is not that of this run ({found} against {expected}); "
                "train in a new run directory."
            )
