"""The weights file of the embedded codec: half-precision tensors, and a header that describes them.

The revision covers transform and codebooks only, so stored codes stay valid with a better decoder.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from valle.codec.mini.network import MiniConfig, MiniNetwork
from valle.codec.mini.quantizer import NUM_BEAMS
from valle.codec.mini_revision import EMBEDDED as EMBEDDED
from valle.codec.mini_revision import unusable
from valle.tensors import write_tensors
from warehouse.files import atomic_write

ENCODING_PARTS = ("transform.", "quantizer.")

Figure = int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Origin of the weights: steps, amount of speech, licence and credits."""

    num_steps: int
    training_data: str
    licence: str
    credits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsHeader:
    """Header of a weights file; `quality` holds figures of a codec report and what they were measured on."""

    config: MiniConfig
    revision: str
    provenance: Provenance
    quality: Mapping[str, Figure] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        """Return the header as strings by name, the form of safetensors metadata."""
        provenance = self.provenance
        return {
            "config": self.config.to_json(),
            "revision": self.revision,
            "num_steps": str(provenance.num_steps),
            "training_data": provenance.training_data,
            "licence": provenance.licence,
            "credits": provenance.credits,
            "quality": json.dumps(dict(self.quality)),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "WeightsHeader":
        """Parse the output of `to_metadata`."""
        return cls(
            config=MiniConfig.from_json(metadata["config"]),
            revision=metadata["revision"],
            provenance=Provenance(
                num_steps=int(metadata["num_steps"]),
                training_data=metadata["training_data"],
                licence=metadata["licence"],
                credits=metadata["credits"],
            ),
            quality=json.loads(metadata["quality"]),
        )


def _learned_tensors(network: MiniNetwork) -> dict[str, Tensor]:
    """Return parameters and codebooks; windows and mel filters are computed, never stored."""
    return dict(network.named_parameters()) | {"quantizer.codebooks": network.quantizer.codebooks}


def encoding_revision(tensors: dict[str, Tensor], config: MiniConfig) -> str:
    """Return eight hexadecimal digits that cover the encoding tensors, the features and the search."""
    seen = (config.short_window, config.frames_per_hop, config.num_bands, config.pitch_bands)
    features = (config.sample_rate, config.hop_length, config.window, *seen, NUM_BEAMS)
    digest = hashlib.sha256(repr(features).encode())
    for name in sorted(tensors):
        if name.startswith(ENCODING_PARTS):
            digest.update(name.encode() + tensors[name].half().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def write_weights(path: Path, network: MiniNetwork, provenance: Provenance) -> WeightsHeader:
    """Write the network in half precision, atomically, and return the header."""
    tensors = {name: tensor.detach().half() for name, tensor in _learned_tensors(network).items()}
    revision = encoding_revision(tensors, network.config)
    header = WeightsHeader(config=network.config, revision=revision, provenance=provenance)
    _write(path, tensors, header)
    return header


def write_quality(path: Path, quality: Mapping[str, Figure]) -> None:
    """Write quality figures into the header of a weights file, atomically; its tensors do not change."""
    _write(path, load_file(path), replace(read_header(path), quality=quality))


def _write(path: Path, tensors: Mapping[str, Tensor], header: WeightsHeader) -> None:
    with atomic_write(path) as temporary:
        write_tensors(temporary, tensors, header.to_metadata())


def read_header(path: Path) -> WeightsHeader:
    """Read the header of a weights file. Raises DependencyError when the file is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as weights:
            return WeightsHeader.from_metadata(weights.metadata() or {})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise unusable(path) from error


def read_network(path: Path) -> MiniNetwork:
    """Read the network of a weights file at fp32, in evaluation mode. Raises DependencyError as `read_header`."""
    network = MiniNetwork(read_header(path).config)
    try:
        with safe_open(path, framework="pt") as weights, torch.no_grad():
            for name, tensor in _learned_tensors(network).items():
                tensor.copy_(weights.get_tensor(name))
    except SafetensorError as error:  # A tensor is missing: the file is of another version of the network.
        raise unusable(path) from error
    return network.eval()
