"""Read a NeMo checkpoint: a tar with `model_config.yaml` and `model_weights.ckpt`, read without unpickling objects."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from valle.codec.nvidia.network import ActivationName
from valle.tensors import load_pickled
from warehouse.errors import DependencyError

_CONFIG, _WEIGHTS = "model_config.yaml", "model_weights.ckpt"


@dataclass(frozen=True, slots=True, kw_only=True)
class NemoConfig:
    """The shape of an audio codec of NeMo with a HiFi-GAN encoder and decoder and grouped FSQ."""

    sample_rate: int
    strides: tuple[int, ...]
    """Of the encoder, from the waveform to the frames."""
    upsampling: tuple[int, ...]
    encoder_channels: int
    decoder_channels: int
    encoder_activation: ActivationName
    decoder_activation: ActivationName
    num_groups: int
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NemoFile:
    """The shape and the weights of a checkpoint."""

    config: NemoConfig
    tensors: dict[str, Tensor]
    """Tensors of encoder and decoder by name, weight normalization multiplied out."""


def read_nemo(path: Path) -> NemoFile:
    """Read a `.nemo` file. Raises DependencyError when it is none, or of another architecture."""
    try:
        with tarfile.open(path) as archive:
            # Archives differ in whether names begin with `./`.
            members = {Path(member.name).name: member for member in archive.getmembers() if member.isfile()}
            content = {name: _read(archive, members[name]) for name in (_CONFIG, _WEIGHTS)}
        config = _config(yaml.safe_load(content[_CONFIG]))
        state = load_pickled(io.BytesIO(content[_WEIGHTS]))
    except DependencyError:
        raise
    except (OSError, tarfile.TarError, KeyError, TypeError, ValueError, RuntimeError, yaml.YAMLError) as error:
        raise DependencyError(
            f"{path} is not a readable audio codec of NeMo ({error}): remove it and fetch it again with `valle models "
            "fetch nvidia_44khz`."
        ) from error
    # A checkpoint of a training also holds discriminators, which no speech needs.
    kept = {name: tensor for name, tensor in state.items() if name.startswith(("audio_encoder.", "audio_decoder."))}
    return NemoFile(config, fuse_weight_norm(kept))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None, "members were filtered to regular files"
    return stream.read()


def _config(content: Mapping[str, Any]) -> NemoConfig:
    expected = {
        "audio_encoder": "HiFiGANEncoder",
        "audio_decoder": "HiFiGANDecoder",
        "vector_quantizer": "GroupFiniteScalarQuantizer",
    }
    for part, name in expected.items():
        target = str(content[part]["_target_"]).rsplit(".", 1)[-1]
        if target != name:
            raise DependencyError(f"The codec has {target} as {part}, and only {name} is supported: use nvidia_44khz.")
    encoder, decoder, quantizer = (content[part] for part in expected)
    return NemoConfig(
        sample_rate=int(content["sample_rate"]),
        strides=tuple(encoder["down_sample_rates"]),
        upsampling=tuple(decoder["up_sample_rates"]),
        encoder_channels=int(encoder.get("base_channels", 32)),
        decoder_channels=int(decoder.get("base_channels", 512)),
        encoder_activation=encoder.get("activation", "lrelu"),
        decoder_activation=decoder.get("activation", "lrelu"),
        num_groups=int(quantizer["num_groups"]),
        levels=tuple(quantizer["num_levels_per_group"]),
    )


def fuse_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Multiply out weight normalization: `weight_g` and `weight_v` become `weight` = g v / |v|."""
    fused = {name: tensor for name, tensor in state.items() if not name.endswith((".weight_g", ".weight_v"))}
    for name, direction in state.items():
        if name.endswith(".weight_v"):
            stem = name.removesuffix("_v")
            fused[stem] = state[stem + "_g"] * direction / direction.norm(dim=(1, 2), keepdim=True)
    return fused
