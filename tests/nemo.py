"""An audio codec in the form of NeMo's checkpoints, with few channels and random weights."""

import io
import tarfile
from pathlib import Path

import torch
import yaml

from valle.codec.nvidia.codec import NvidiaNetwork
from valle.codec.nvidia.nemo_file import NemoConfig

NEMO = NemoConfig(
    sample_rate=44_100,
    strides=(2, 4, 8, 8),
    upsampling=(8, 8, 4, 2),
    encoder_channels=4,
    decoder_channels=64,
    encoder_activation="lrelu",
    decoder_activation="half_snake",
    num_groups=8,
    levels=(8, 5, 5, 5),
)


def write_nemo(path: Path, encoder: str = "HiFiGANEncoder") -> NvidiaNetwork:
    """Write a checkpoint in NeMo's form, with the weight normalization of torch before 2.0."""
    torch.manual_seed(0)
    network = NvidiaNetwork(NEMO)
    state = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("conv.weight"):
            norm = tensor.norm(dim=(1, 2), keepdim=True)
            state |= {f"{name}_g": norm, f"{name}_v": 3 * tensor}
        else:
            state[name] = tensor
    state["discriminator.unused"] = torch.zeros(1)
    modules = "nemo.collections.tts.modules.audio_codec_modules."
    config = {
        "sample_rate": 44_100,
        "audio_encoder": {
            "_target_": modules + encoder,
            "down_sample_rates": [2, 4, 8, 8],
            "base_channels": 4,
            "activation": "lrelu",
        },
        "audio_decoder": {
            "_target_": modules + "HiFiGANDecoder",
            "up_sample_rates": [8, 8, 4, 2],
            "base_channels": 64,
            "activation": "half_snake",
        },
        "vector_quantizer": {
            "_target_": modules + "GroupFiniteScalarQuantizer",
            "num_groups": 8,
            "num_levels_per_group": [8, 5, 5, 5],
        },
    }
    weights = io.BytesIO()
    torch.save(state, weights)
    with tarfile.open(path, "w") as archive:
        for name, content in (
            ("model_config.yaml", yaml.safe_dump(config).encode()),
            ("model_weights.ckpt", weights.getvalue()),
        ):
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return network
