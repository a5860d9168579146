"""Checkpoints as files: `valle export` and `valle adapt-codec`."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict

from valle.checkpoints.gguf.layout import WeightType
from valle.checkpoints.runs import newest_checkpoint
from valle.cli.arguments import FIELDS, say
from valle.synthesis.options import SamplingOptions
from warehouse.errors import ConfigurationError

ExportFormat = Literal[
    "checkpoint", "sft", "gguf", "onnx", "hf", "lookahead", "vall-e", "hdf5", "shar", "webdataset", "hf-dataset"
]
_OF_RUNS = ("checkpoint", "sft", "gguf", "onnx", "hf", "lookahead")


class ExportOptions(BaseModel):
    """Options of `valle export`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str | None = None
    """Name of a training run; its newest checkpoint is exported."""
    training_set: str | None = None
    """Name of a training set to export, instead of a run."""
    format: ExportFormat | None = None
    """Of a run: `checkpoint`, the default, `sft` (one file), `gguf` (one file for llama.cpp), `onnx` (a folder of
    graphs: codebooks 1 and up, and the decoder of the codec), `hf` (a folder for transformers) or `lookahead` (heads
    that guess frames, one file). Of a training set: `vall-e`, `hdf5`, `shar`, `webdataset` or `hf-dataset`."""
    weights: WeightType = "f16"
    """Number type of the matrices in a GGUF file: `f32`, `f16`, or `q8_0` and `q4_0` for 8 and 4 bits a weight."""
    out: Path
    """New directory, or for `sft`, `gguf` and `lookahead` a new file."""
    name: str | None = None
    """Name of the run in the card; by default its own."""
    sampling: SamplingOptions | None = None
    """Sampling by default; by default that of the training."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


class AdaptCodecOptions(BaseModel):
    """Options of `valle adapt-codec`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    """Name of a training run; its newest checkpoint is adapted."""
    training_set: str
    """Name of a training set with the codes of the new codec; some of the lake must have codes of both codecs."""
    out: Path
    """New directory for the checkpoint."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def export(*, options: Annotated[ExportOptions, FIELDS]) -> int:
    """Write the newest checkpoint of a run, or a training set, for others to use."""
    if (options.run is None) == (options.training_set is None):
        raise ConfigurationError("Give a run or a training set to export: --run or --training-set.")
    if options.run is None:
        return _export_training_set(options, options.training_set or "")
    chosen = options.format or _OF_RUNS[0]
    if chosen not in _OF_RUNS:
        raise ConfigurationError(f"A run is exported as {', '.join(_OF_RUNS)}; {chosen} is for training sets.")
    return _export_run(options, options.run, chosen)


def _export_run(options: ExportOptions, run: str, chosen: str) -> int:
    from valle.data_root import open_data_root

    checkpoint = newest_checkpoint(open_data_root(options.data).runs, run)
    # Torch takes seconds to import, and a wrong option should not wait for it.
    from valle.training.export import export_checkpoint, export_file, export_gguf

    if chosen == "hf":
        from valle.interchange.hub.publish import export_hf

        size = export_hf(open_data_root(options.data), checkpoint, options.out, name=options.name)
        say(f"{options.out}: {size / 1e6:.1f} MB; `AutoModel.from_pretrained` of transformers loads it.")
        return 0
    if chosen == "gguf":
        size = export_gguf(checkpoint, options.out, options.weights, name=options.name, sampling=options.sampling)
        say(f"{options.out}: {size / 1e6:.1f} MB; `valle speak --checkpoint {options.out} --runtime llama.cpp` speaks.")
        return 0
    if chosen == "onnx":
        return _export_onnx(checkpoint, options.out)
    if chosen == "lookahead":
        from valle.checkpoints.checkpoint import read_weights
        from valle.checkpoints.guesses import FILE, export_heads

        size = export_heads(read_weights(checkpoint), options.out)
        say(f"{options.out}: {size / 1e6:.1f} MB; as {FILE} in the directory of its base, speech takes fewer passes.")
        return 0
    write = export_file if chosen == "sft" else export_checkpoint
    size = write(checkpoint, options.out, name=options.name, sampling=options.sampling)
    say(f"{options.out}: {size / 1e6:.1f} MB; `valle speak --checkpoint {options.out}` speaks with it.")
    return 0


def _export_onnx(checkpoint: Path, out: Path) -> int:
    from valle.backends.registry import Backends
    from valle.interchange.onnx.export import export_onnx

    for graph in export_onnx(checkpoint, out, Backends()):
        say(f"{out / graph.name}: ONNX Runtime differs from torch by {graph.difference:.1e} at most.")
    return 0


def _export_training_set(options: ExportOptions, name: str) -> int:
    if options.format is None or options.format in _OF_RUNS:
        formats = [one for one in get_args(ExportFormat) if one not in _OF_RUNS]
        raise ConfigurationError(f"A training set is exported as {', '.join(formats)}; choose one by --format.")
    from valle.data.selection.training_set import load_training_set
    from valle.data_root import open_data_root
    from valle.interchange.sets.export import export_training_set

    training_set = load_training_set(open_data_root(options.data).training_sets / name)
    count = export_training_set(training_set, options.out, options.format)
    say(f"{options.out}: {count} utterances of {training_set.card.id}.")
    return 0


def adapt_codec(*, options: Annotated[AdaptCodecOptions, FIELDS]) -> int:
    """Adapt the newest checkpoint of a run to the codec of a training set, for a training to continue from."""
    from valle.data.selection.training_set import load_training_set
    from valle.data_root import open_data_root
    from warehouse.catalogue.views import connect

    root = open_data_root(options.data)
    checkpoint = newest_checkpoint(root.runs, options.run)
    codec = load_training_set(root.training_sets / options.training_set).card.codec
    from valle.training.adapt_codec import adapt_checkpoint

    with connect(root.lake.snapshot(), tables_only=True) as catalogue:
        num_frames = adapt_checkpoint(checkpoint, codec, catalogue, options.out)
    say(f"{options.out}: compared {num_frames} frames; continue with `--options.start-from {options.out}`.")
    return 0
