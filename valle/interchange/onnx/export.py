"""Export a checkpoint to a folder of ONNX graphs, each compared with torch before it is given away."""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from valle.backends.registry import Backends
from valle.checkpoints.checkpoint import load_model
from valle.checkpoints.runs import CARD
from valle.checkpoints.saving import card_content, new_checkpoint
from valle.codec.base import Codec
from valle.codec.mini.codec import MiniCodec
from valle.codec.mini.source import NoiseSource
from valle.interchange.onnx import codecs, mini, nar
from valle.model.config import ModelConfig
from warehouse.errors import CheckpointError, ConfigurationError

NAR, CODEC = "nar.onnx", "codec.onnx"
TOLERANCE = 1e-3
"""Largest difference from torch, of logits and of samples within -1..1."""
_OPSET = 18
# Frames of the example that is traced, and of the one that is compared.
_TRACED, _COMPARED = 40, 75


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """A graph in its file, and its largest difference from torch."""

    name: str
    difference: float


@dataclass(frozen=True, slots=True)
class _Network:
    """A network with examples of its inputs, in order, and the dimensions of each that may have another size."""

    module: nn.Module
    traced: tuple[Tensor, ...]
    compared: tuple[Tensor, ...]
    dimensions: tuple[Mapping[int, Any], ...]
    inputs: Sequence[str]


def export_onnx(checkpoint: Path, out: Path, backends: Backends) -> list[ExportedGraph]:
    """Write NAR, codec decoder and card as the new folder `out`; a decoder without a counterpart is left out.

    Raises ConfigurationError without the package onnxscript and for a model without a counterpart, CheckpointError when
    `out` exists or cannot be written, or when a graph computes something else.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; give a name that does not.")
    model, card = load_model(checkpoint)
    graph, codec = nar.NarGraph(model), backends.codec(card.codec.name)
    with new_checkpoint(out) as folder:
        graphs = [_export(_nar(graph, card.model), folder / NAR)]
        if decoder := export_decoder(codec, folder / CODEC):
            graphs.append(decoder)
        content = card_content(card) | {"files": {}}
        (folder / CARD).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return graphs


def export_decoder(codec: Codec, path: Path) -> ExportedGraph | None:
    """Write the decoder of a codec as the file `path`; None without a counterpart. Errors as `export_onnx`."""
    network = _decoder(codec)
    return None if network is None else _export(network, path)


def _nar(graph: nar.NarGraph, config: ModelConfig) -> _Network:
    generator = torch.Generator().manual_seed(0)

    def codes(count: int, frames: int) -> Tensor:
        return torch.randint(config.codebook_size, (count, frames), generator=generator)

    def example(codebook: int, frames: int) -> tuple[Tensor, ...]:
        symbols = torch.randint(config.num_symbols, (frames // 3,), generator=generator)
        prompt, target = codes(config.num_codebooks, frames // 2), codes(config.num_codebooks - 1, frames)
        return symbols, torch.tensor([1]), torch.tensor([codebook]), prompt, target

    last = config.num_codebooks - 1
    frames = {1: torch.export.Dim.DYNAMIC}
    dimensions: tuple[dict[int, Any], ...] = ({0: torch.export.Dim.DYNAMIC}, {}, {}, frames, frames)
    return _Network(graph, example(min(2, last), _TRACED), example(last, _COMPARED), dimensions, nar.INPUTS)


def _decoder(codec: Codec) -> _Network | None:
    if isinstance(codec, MiniCodec):
        return _mini(mini.MiniGraph(codec.network), codec.spec.hop_length)
    graph = codecs.codec_graph(codec)
    if graph is None:
        return None
    generator, spec = torch.Generator().manual_seed(0), codec.spec

    def example(frames: int) -> tuple[Tensor, ...]:
        return (torch.randint(spec.codebook_size, (spec.num_codebooks, frames), generator=generator),)

    frames = torch.export.Dim("frames", min=codecs.FEWEST_FRAMES)
    return _Network(graph, example(_TRACED), example(_COMPARED), ({1: frames},), codecs.INPUTS)


def _mini(graph: mini.MiniGraph, hop: int) -> _Network:
    generator = torch.Generator().manual_seed(0)
    config = graph.network.config

    def example(frames: int) -> tuple[Tensor, ...]:
        codes = torch.randint(config.codebook_size, (config.num_codebooks, frames), generator=generator)
        return codes, NoiseSource().next(frames * hop)[0]

    frames = torch.export.Dim("frames", min=2)
    return _Network(graph, example(_TRACED), example(_COMPARED), ({1: frames}, {0: hop * frames}), mini.INPUTS)


def _export(network: _Network, path: Path) -> ExportedGraph:
    try:
        import onnxscript  # noqa: F401 - torch needs it, and its own message names no command
    except ImportError as error:
        raise ConfigurationError("ONNX graphs need the package onnxscript: pip install 'valle[onnx]'.") from error
    module = network.module.eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            module,
            network.traced,
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=list(network.inputs),
            output_names=["output"],
            dynamic_shapes=network.dimensions,
        )
        assert program is not None, "dynamo returns a program"
        program.save(path, external_data=False)
        expected = module(*network.compared).numpy()
    difference = float(
        np.abs(run_graph(path, dict(zip(network.inputs, network.compared, strict=True))) - expected).max()
    )
    if not difference <= TOLERANCE:
        raise CheckpointError(f"{path.name} differs from torch by {difference:.1e}; please report this checkpoint.")
    return ExportedGraph(path.name, difference)


def run_graph(path: Path, inputs: Mapping[str, Tensor]) -> NDArray[np.float32]:
    """Compute the output of a graph by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [output] = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    return np.asarray(output)
