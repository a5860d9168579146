"""The speaker encoder of most published SIM scores: WavLM-Large with an ECAPA-TDNN head, trained by UniSpeech.

WavLM (Chen et al. 2022) is torchaudio's; the head follows Desplanques et al. 2020 ("ECAPA-TDNN", 512 channels, an
embedding of 256) on a learned mean of WavLM's hidden states. The weights in `wavlm_large_finetune.pth` have the names
of fairseq and UniSpeech. Loading is strict: with missing weights the cosine of any two speakers is near 1.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from valle.audio import Samples
from valle.backends.speaker.base import Embedding
from valle.tensors import load_pickled
from warehouse.errors import DependencyError

_LARGE_CONVOLUTIONS = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)
_MIN_SAMPLES = 4_000  # a quarter of a second: fewer frames have no statistics
_DILATIONS = (2, 3, 4)
_SCALE = 8
# Weights that only training needs.
_UNUSED = ("loss_calculator.", "feature_extract.model.mask_emb")


@dataclass(frozen=True, slots=True, kw_only=True)
class WavlmShape:
    """Sizes of the network; the defaults are those of the published file."""

    convolutions: tuple[tuple[int, int, int], ...] = _LARGE_CONVOLUTIONS
    width: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    feed_forward: int = 4096
    position_kernel: int = 128
    position_groups: int = 16
    channels: int = 512
    pooled: int = 1536
    bottleneck: int = 128
    embedding: int = 256


class _Convolution(nn.Module):
    """Convolution, rectifier and batch norm, in this order."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(torch.relu(self.conv(x)))


class _Res2(nn.Module):
    """Res2Net convolution: each band of channels is added to the output of the band before; the last is unchanged."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width = channels // _SCALE
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(_SCALE - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(_SCALE - 1))

    def forward(self, x: Tensor) -> Tensor:
        *bands, last = x.chunk(_SCALE, dim=1)
        outputs: list[Tensor] = []
        for band, conv, norm in zip(bands, self.convs, self.bns, strict=True):
            outputs.append(norm(torch.relu(conv(band + outputs[-1] if outputs else band))))
        return torch.cat([*outputs, last], dim=1)


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, bottleneck)
        self.linear2 = nn.Linear(bottleneck, channels)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.sigmoid(self.linear2(torch.relu(self.linear1(x.mean(dim=2)))))
        return x * weights[:, :, None]


class _Block(nn.Module):
    """SE-Res2Block of ECAPA-TDNN; its attributes have the names of the published file."""

    def __init__(self, channels: int, dilation: int, bottleneck: int) -> None:
        super().__init__()
        self.Conv1dReluBn1 = _Convolution(channels, channels)
        self.Res2Conv1dReluBn = _Res2(channels, dilation)
        self.Conv1dReluBn2 = _Convolution(channels, channels)
        self.SE_Connect = _SqueezeExcite(channels, bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.SE_Connect(self.Conv1dReluBn2(self.Res2Conv1dReluBn(self.Conv1dReluBn1(x))))


class _Pooling(nn.Module):
    """Mean and standard deviation over time, weighted by attention per channel."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(channels, bottleneck, 1)
        self.linear2 = nn.Conv1d(bottleneck, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.linear2(torch.tanh(self.linear1(x))), dim=2)
        mean = (weights * x).sum(dim=2)
        # Rounding can make the difference of two squares negative, and its root NaN.
        variance = (weights * x.square()).sum(dim=2) - mean.square()
        return torch.cat((mean, variance.clamp(min=1e-9).sqrt()), dim=1)


class WavlmEcapa(nn.Module):
    """Network from a waveform [1, N] at 16 kHz to an embedding [1, D] that is not normalised."""

    def __init__(self, shape: WavlmShape) -> None:
        super().__init__()
        from torchaudio.models import wavlm_model

        self.wavlm = wavlm_model(
            extractor_mode="layer_norm",
            extractor_conv_layer_config=list(shape.convolutions),
            extractor_conv_bias=False,
            encoder_embed_dim=shape.width,
            encoder_projection_dropout=0.0,
            encoder_pos_conv_kernel=shape.position_kernel,
            encoder_pos_conv_groups=shape.position_groups,
            encoder_num_layers=shape.num_layers,
            encoder_num_heads=shape.num_heads,
            encoder_num_buckets=320,
            encoder_max_distance=800,
            encoder_attention_dropout=0.0,
            encoder_ff_interm_features=shape.feed_forward,
            encoder_ff_interm_dropout=0.0,
            encoder_dropout=0.0,
            encoder_layer_norm_first=True,
            encoder_layer_drop=0.0,
            aux_num_out=None,
        )
        self.feature_weight = nn.Parameter(torch.zeros(shape.num_layers + 1))
        self.instance_norm = nn.InstanceNorm1d(shape.width)
        self.layer1 = _Convolution(shape.width, shape.channels, 5)
        self.layer2, self.layer3, self.layer4 = (
            _Block(shape.channels, dilation, shape.bottleneck) for dilation in _DILATIONS
        )
        self.conv = nn.Conv1d(3 * shape.channels, shape.pooled, 1)
        self.pooling = _Pooling(shape.pooled, shape.bottleneck)
        self.bn = nn.BatchNorm1d(2 * shape.pooled)
        self.linear = nn.Linear(2 * shape.pooled, shape.embedding)

    def hidden_states(self, waveform: Tensor) -> list[Tensor]:
        """Return the input of each layer of WavLM and the normed output of the last: [1, T, width] each."""
        # WavLM-Large was trained on waveforms with mean 0 and variance 1; torchaudio leaves that to the caller.
        normed = nn.functional.layer_norm(waveform, waveform.shape[-1:])
        features, _ = self.wavlm.feature_extractor(normed, None)
        transformer = self.wavlm.encoder.transformer
        projected = self.wavlm.encoder.feature_projection(features)
        # get_intermediate_outputs adds the position embedding itself, so its argument does not include it.
        first = projected + transformer.pos_conv_embed(projected)
        outputs = transformer.get_intermediate_outputs(projected)
        return [first, *outputs[:-1], transformer.layer_norm(outputs[-1])]

    def forward(self, waveform: Tensor) -> Tensor:
        """Embed a waveform [1, N]."""
        states = torch.stack(self.hidden_states(waveform))
        weights = torch.softmax(self.feature_weight, dim=0)[:, None, None, None]
        x = self.instance_norm((weights * states).sum(dim=0).transpose(1, 2) + 1e-6)
        # The blocks follow layer1 in a chain, but only their outputs are concatenated for pooling.
        outputs = [self.layer1(x)]
        for block in (self.layer2, self.layer3, self.layer4):
            outputs.append(block(outputs[-1]))
        return self.linear(self.bn(self.pooling(torch.relu(self.conv(torch.cat(outputs[1:], dim=1))))))


# Patterns of fairseq's names of WavLM's weights and torchaudio's names, in the order of application.
_RENAMED = (
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.2\.1\.", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"^post_extract_proj\.", "encoder.feature_projection.projection."),
    (r"^layer_norm\.", "encoder.feature_projection.layer_norm."),
    (r"^encoder\.pos_conv\.0\.weight_g$", "encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"^encoder\.pos_conv\.0\.weight_v$", "encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"^encoder\.pos_conv\.0\.bias$", "encoder.transformer.pos_conv_embed.conv.bias"),
    (r"^encoder\.layer_norm\.", "encoder.transformer.layer_norm."),
    (r"^encoder\.layers\.", "encoder.transformer.layers."),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.self_attn\.relative_attention_bias\.", ".attention.rel_attn_embed."),
    (r"\.self_attn\.grep_linear\.", ".attention.gru_rel_pos_linear."),
    (r"\.self_attn\.grep_a$", ".attention.gru_rel_pos_const"),
    (r"\.self_attn\.out_proj\.", ".attention.attention.out_proj."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)
_PROJECTION = re.compile(r"(.*)\.self_attn\.q_proj\.(weight|bias)$")


def convert_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the published weights for `WavlmEcapa`; omit those that only training needs."""
    head = {name: value for name, value in published.items() if not name.startswith(("feature_extract.", *_UNUSED))}
    prefix = "feature_extract.model."
    inner = {
        name.removeprefix(prefix): value
        for name, value in published.items()
        if name.startswith(prefix) and not name.startswith(_UNUSED)
    }
    converted = dict(head)
    for name, value in inner.items():
        if ".self_attn.k_proj." in name or ".self_attn.v_proj." in name:
            continue  # joined with the query's below
        # torchaudio has one matrix for query, key and value; fairseq has three.
        if match := _PROJECTION.match(name):
            layer, kind = match.groups()
            projections = [inner.get(f"{layer}.self_attn.{letter}_proj.{kind}", value[:0]) for letter in "qkv"]
            name, value = f"{layer}.attention.attention.in_proj_{kind}", torch.cat(projections)
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        converted[f"wavlm.{name}"] = value
    return converted


class WavlmSpeaker:
    """UniSpeech's encoder; each clip is embedded alone and uncut."""

    def __init__(self, path: Path, *, device: str = "cpu", shape: WavlmShape | None = None) -> None:
        """Load the weights; raise DependencyError when the file does not hold exactly those of the network."""
        self._network = WavlmEcapa(shape or WavlmShape()).eval()
        try:
            self._network.load_state_dict(convert_weights(_read(path)))
        except (RuntimeError, KeyError) as error:
            first = str(error).strip().splitlines()
            raise DependencyError(
                f"{path} does not hold the weights of WavLM-Large with ECAPA-TDNN ({' '.join(first[:2])[:300]}); get "
                "UniSpeech's wavlm_large_finetune.pth."
            ) from error
        self._network.to(device)
        self._device = device

    @torch.inference_mode()
    def embed(self, waveforms: Sequence[Samples]) -> list[Embedding]:
        """Embed as `SpeakerEncoder` defines it; a clip under a quarter of a second gives a vector of NaN too."""
        return [self._embed_clip(samples) for samples in waveforms]

    def _embed_clip(self, samples: Samples) -> Embedding:
        if len(samples) < _MIN_SAMPLES or not np.any(samples):
            return np.full(self._network.linear.out_features, np.nan, np.float32)
        vector = self._network(torch.from_numpy(np.ascontiguousarray(samples))[None].to(self._device))[0]
        embedding: Embedding = nn.functional.normalize(vector, dim=0).cpu().numpy()
        return embedding


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        content = load_pickled(path)
    except (OSError, ValueError) as error:
        raise DependencyError(f"{path} cannot be read as weights ({error}).") from error
    weights = content.get("model", content)
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise DependencyError(f"{path} holds no named weights; get UniSpeech's wavlm_large_finetune.pth.")
    return weights
