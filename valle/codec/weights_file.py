"""The file that holds the embedded codec: half-precision tensors, and a header that says what they are.

The revision names what makes the codes (encoder and codebooks), so a better decoder leaves stored codes valid.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from valle.codec.network import MiniConfig, MiniNetwork
from valle.codec.quantizer import NUM_BEAMS
from valle.tensors import write_tensors
from warehouse.errors import DependencyError

EMBEDDED = Path(__file__).with_name("weights") / "mini.safetensors"
ENCODING_PARTS = ("transform.", "quantizer.")


@dataclass(frozen=True, slots=True)
class WeightsHeader:
    """What the file says about itself."""

    config: MiniConfig
    revision: str
    num_steps: int
    licence: str
    credits: str


def _learned_tensors(network: MiniNetwork) -> dict[str, Tensor]:
    """Parameters and codebooks; windows and filters are computed, never stored."""
    return dict(network.named_parameters()) | {"quantizer.codebooks": network.quantizer.codebooks}


def encoding_revision(tensors: dict[str, Tensor], config: MiniConfig) -> str:
    """Eight hexadecimal digits over the tensors that turn speech into codes, what they are to see, and the search."""
    features = (config.sample_rate, config.hop_length, config.window, config.num_mels, NUM_BEAMS)
    digest = hashlib.sha256(repr(features).encode())
    for name in sorted(tensors):
        if name.startswith(ENCODING_PARTS):
            digest.update(name.encode() + tensors[name].half().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def write_weights(
    path: Path, network: MiniNetwork, *, num_steps: int, licence: str, credits_line: str
) -> WeightsHeader:
    """Write the network in half precision, atomically; returns the header."""
    tensors = {name: tensor.detach().half() for name, tensor in _learned_tensors(network).items()}
    revision = encoding_revision(tensors, network.config)
    metadata = {
        "config": network.config.to_json(),
        "revision": revision,
        "num_steps": str(num_steps),
        "licence": licence,
        "credits": credits_line,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    write_tensors(temporary, tensors, metadata)
    temporary.replace(path)
    return WeightsHeader(network.config, revision, num_steps, licence, credits_line)


def read_header(path: Path) -> WeightsHeader:
    """The header of a weights file, without its tensors. Raises DependencyError when it is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as weights:
            metadata = weights.metadata() or {}
        return WeightsHeader(
            config=MiniConfig.from_json(metadata["config"]),
            revision=metadata["revision"],
            num_steps=int(metadata["num_steps"]),
            licence=metadata["licence"],
            credits=metadata["credits"],
        )
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise DependencyError(
            f"The codec weights {path} are missing or damaged; reinstall the package with "
            "`pip install --force-reinstall --no-deps .`"
        ) from error


def read_network(path: Path) -> MiniNetwork:
    """The network of a weights file at fp32, in evaluation mode. Raises DependencyError as `read_header` does."""
    network = MiniNetwork(read_header(path).config)
    with safe_open(path, framework="pt") as weights, torch.no_grad():
        for name, tensor in _learned_tensors(network).items():
            tensor.copy_(weights.get_tensor(name))
    return network.eval()
