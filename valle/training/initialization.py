"""The model of a run: its configuration, and its weights before the first update."""

from collections.abc import Sequence, Set
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import torch

from valle.checkpoints.adapters import AdapterCard, hash_weights
from valle.checkpoints.checkpoint import OWN_ADAPTER, CheckpointCard, load_weights, read_card, read_weights
from valle.codec import open_codec
from valle.data.selection.training_set import TrainingSet
from valle.model.adapters.lora import LoraAdapter
from valle.model.adapters.options import match_names
from valle.model.config import ModelConfig, find_size, preset, size_of
from valle.model.from_codec.initialization import init_code_embeddings
from valle.model.valle import ValleModel
from valle.phonemes import PhonemeTable
from valle.phonemes.pieces import AnyTable
from valle.synthesis.options import SamplingOptions, read_sampling
from valle.training.growth import grow_weights
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError, ConfigurationError, TrainingError

# Options of the model that a checkpoint to start from decides, or that it can grow into.
_OF_THE_BASE = (
    "depth",
    "feed_forward",
    "trunk",
    "experts",
    "kv_heads",
    "group",
    "lookahead",
    "whole_frames",
    "max_context",
)
_MAY_GROW = ("depth", "trunk", "experts", "lookahead", "router", "router_loss", "max_context")
_TABLES = ("ids.weight", "prompt_codes.weight", "target_codes.weight", "separator")


def model_config(
    training_set: TrainingSet, options: TrainOptions, resumed: CheckpointCard | None = None
) -> ModelConfig:
    """Build the configuration of a run: that of `start_from`, or its size from the options and the rest from the data.

    The text stride of a `resumed` run is kept: its weights were trained with these positions. Raises CheckpointError
    for options or languages that contradict `start_from`.
    """
    languages, num_symbols, num_frames = _totals(training_set)
    if options.start_from is not None:
        return _based_on(read_card(options.start_from).model, options, languages)
    if resumed is not None and resumed.options.get("start_from"):
        return _based_on(resumed.model, options, languages)
    teacher = options.distillation.teacher
    taught = read_card(teacher).model if teacher is not None else None
    stride = max(0.01, round(num_frames / max(1, num_symbols), 2)) if resumed is None else resumed.model.text_stride
    if taught is not None:  # positions and outputs must be those of the teacher
        stride, languages = taught.text_stride, list(taught.languages)
    card = training_set.card
    return preset(
        options.model,
        card.codec,
        num_symbols=len(card.phoneme_symbols),
        languages=languages,
        text_stride=stride,
        depth=options.depth,
        feed_forward=options.feed_forward,
        architecture=options,
    )


def _totals(training_set: TrainingSet) -> tuple[list[str], int, int]:
    """Return the languages of a set in the order of its items, and how many symbols and frames it has."""
    languages: dict[str, None] = {}
    num_symbols = num_frames = 0
    for table in training_set.tables(columns=("language", "symbols", "num_frames")):
        languages |= dict.fromkeys(table["language"].unique().to_pylist())
        num_symbols += pc.sum(pc.list_value_length(table["symbols"])).as_py() or 0
        num_frames += pc.sum(table["num_frames"]).as_py() or 0
    return list(languages), num_symbols, num_frames


def _based_on(config: ModelConfig, options: TrainOptions, languages: Sequence[str]) -> ModelConfig:
    """Return the configuration of a run on a base: the base's, with what may be added to its weights.

    Raises CheckpointError when options or languages contradict the base.
    """
    if unknown := sorted(set(languages) - set(config.languages)):
        raise CheckpointError(
            f"The checkpoint that the run starts from has no language {', '.join(unknown)}; select others, or train "
            "without start_from."
        )
    given = _given(options)
    wanted = {name: getattr(options, name) for name in _OF_THE_BASE if name in given}
    size = {} if _has_size(config, options, given) else {"model": options.model}
    other = size | {name: value for name, value in wanted.items() if not _may_become(name, config, value)}
    if other:
        shown = " and ".join(f"{name} {value}" for name, value in other.items())
        raise CheckpointError(f"The checkpoint that the run starts from has another {shown}; leave them out.")
    grown = config.model_copy(update={"dropout": options.dropout, **wanted})
    if grown.problem is not None:
        raise CheckpointError(f"The checkpoint that the run starts from cannot be changed so. {grown.problem}")
    return grown


def _has_size(config: ModelConfig, options: TrainOptions, given: Set[str]) -> bool:
    """Return whether a base has the size that options name, but for what another option gives in its place."""
    if "model" not in given:
        return True
    size, base = find_size(options.model), size_of(config)
    names = {field.name for field in fields(size)} - given
    return all(getattr(size, name) == getattr(base, name) for name in names)


def _may_become(name: str, config: ModelConfig, value: Any) -> bool:
    """Return whether the weights of a base can be used for another value of an option, as `grow_weights` does."""
    before = getattr(config, name)
    grows = {
        "depth": value > config.depth if name == "depth" else False,
        "trunk": (before, value) == ("llama", "mixtral"),
        "experts": not before,
        "router": not config.experts,
        "lookahead": not before,
        "max_context": True,
    }
    return bool(before == value or grows.get(name, False))


def _given(options: TrainOptions) -> set[str]:
    """Return the options that differ from their defaults: forms and files give every option."""
    fields = type(options).model_fields
    return {name for name, field in fields.items() if getattr(options, name) != field.default}


def with_sampling_of(earlier: Path | None, options: TrainOptions) -> TrainOptions:
    """Return options whose sampling is that of the checkpoint that a run begins from, unless they have their own.

    A small model that was tuned to speak with guidance does not without. Raises CheckpointError for a damaged card.
    """
    if earlier is None or options.sampling != SamplingOptions():
        return options
    return options.model_copy(update={"sampling": read_sampling(earlier)})


def base_hash(options: TrainOptions) -> str:
    """Return the hash of the weights that an adapter is trained on. Raises CheckpointError when they are unreadable."""
    assert options.start_from is not None, "options refuse an adapter without start_from"
    return hash_weights(read_weights(options.start_from))


def choose_trained(model: ValleModel, options: TrainOptions) -> None:
    """Freeze what the options freeze: parameters by name, or with an adapter everything but it.

    Raises ConfigurationError for a name that no parameter or layer has, and when nothing is left to train.
    """
    if options.lora.rank:
        if model.config.whole_frames and (options.lora.codebooks or options.lora.embeddings):
            raise ConfigurationError(
                "An adapter of a model of whole frames serves every codebook and no table; leave out lora.codebooks "
                "and lora.embeddings."
            )
        model.requires_grad_(False)
        model.adapters.attach(model, OWN_ADAPTER, LoraAdapter(model, options.lora))
        model.adapters.strengths = {OWN_ADAPTER: 1.0}
        return
    parameters = dict(model.named_parameters())
    for name in match_names(parameters, options.freeze, "parameter"):
        parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ConfigurationError("Every parameter is frozen; leave one out of freeze.")


def phoneme_table_of(training_set: TrainingSet, earlier: Path | None) -> AnyTable:
    """Return the phoneme table of a run: that of the training set, or of imported weights that it continues."""
    card = None if earlier is None else read_card(earlier)
    return card.phoneme_table if card and card.phoneme_strings else PhonemeTable(training_set.card.phoneme_symbols)


def adapter_card(options: TrainOptions, base_hash: str, *, step: int) -> AdapterCard:
    """Return the card of the adapter that a run trains."""
    assert options.start_from is not None, "options refuse an adapter without start_from"
    base = options.start_from.absolute()
    return AdapterCard(lora=options.lora, base=base, base_hash=base_hash, run_id=options.name, step=step)


def trained_symbols(training_set: TrainingSet, earlier: Path | None) -> tuple[str, ...]:
    """Return the phonemes that the set and the training of the weights before have; empty where one is not known."""
    used = set(training_set.card.used_symbols)
    before = used if earlier is None else set(read_card(earlier).trained_symbols)
    return tuple(sorted(used | before)) if used and before else ()


def initialize(model: ValleModel, training_set: TrainingSet, options: TrainOptions) -> None:
    """Replace the random weights of a new run: by a checkpoint's, or those of codes by the codec's vectors.

    Raises CheckpointError for a checkpoint of another model and TrainingError for a codec that is not installed.
    """
    spec = training_set.card.codec
    if options.start_from is not None:
        _start_from(options.start_from, model, training_set)
    elif options.init_code_embeddings == "codec":
        codec = open_codec(spec.name)
        if codec.spec != spec:
            raise TrainingError(
                f"The codes are of {spec.label}, and {codec.spec.revision} is installed; install that revision or set "
                "init_code_embeddings to random."
            )
        init_code_embeddings(model, torch.from_numpy(codec.codebooks), seed=options.seed)
    if options.embeddings_from is not None:
        _copy_tables(options.embeddings_from, model, training_set)


def _start_from(checkpoint: Path, model: ValleModel, training_set: TrainingSet) -> None:
    card = read_card(checkpoint)
    table = phoneme_table_of(training_set, checkpoint)
    check_card(card, checkpoint, model.config.model_copy(update=_grown(card.model)), training_set, table)
    weights = grow_weights(read_weights(checkpoint), card.model, model.config)
    load_weights(weights, checkpoint, model, allow_new=("lookahead.", "trunk.blocks.*.router."))


def _grown(before: ModelConfig) -> dict[str, Any]:
    """Return the fields in which a model may have grown, with their values before."""
    return {name: getattr(before, name) for name in _MAY_GROW}


def _copy_tables(checkpoint: Path, model: ValleModel, training_set: TrainingSet) -> None:
    """Copy the tables of ids and codes of a model with any trunk. Raises CheckpointError for other shapes."""
    card, weights, own = read_card(checkpoint), read_weights(checkpoint), model.state_dict()
    if (card.codec, card.phoneme_symbols) != (training_set.card.codec, training_set.card.phoneme_symbols):
        raise CheckpointError(f"The tables of {checkpoint} are for another codec or phoneme table; choose another.")
    for name in _TABLES:
        if weights[name].shape != own[name].shape:
            raise CheckpointError(
                f"{name} of {checkpoint} has the shape {tuple(weights[name].shape)}, this model "
                f"{tuple(own[name].shape)}; choose a checkpoint of the same width, group and languages."
            )
        own[name].copy_(weights[name])


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
