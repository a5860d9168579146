"""The decoders of other codecs as graphs: codes [K, T] in, a waveform [T * hop] out."""

import copy

import torch
from encodec.modules.conv import SConv1d, SConvTranspose1d
from encodec.modules.lstm import SLSTM
from torch import Tensor, nn
from torch.nn import functional

from valle.codec.base import Codec
from valle.codec.encodec.mono import EncodecCodec, VocosDecoder
from valle.codec.mini.fourier import ShortTimeFourier
from valle.codec.network_codec import NetworkCodec
from valle.interchange.onnx.fourier import Fourier

INPUTS = ("codes",)
"""Codes [K, T] of all codebooks."""
FEWEST_FRAMES = 8
"""Frames that a clip has at least; shorter ones are padded by other rules, which a graph cannot choose from."""


class CodecGraph(nn.Module):
    """A decoder of batches [1, K, T] as one of a clip, of whole frames and within -1..1."""

    def __init__(self, decoder: nn.Module, hop_length: int) -> None:
        super().__init__()
        self.decoder, self.hop_length = decoder, hop_length

    def forward(self, codes: Tensor) -> Tensor:
        """Return the waveform [T * hop]; see `INPUTS`."""
        num_samples = codes.shape[1] * self.hop_length
        waveform = self.decoder(codes[None])[0].clamp(-1, 1)
        # Transposed convolutions of an odd stride end a few samples early; those of another codec end late.
        return functional.pad(waveform, (0, self.hop_length))[:num_samples]


def codec_graph(codec: Codec) -> CodecGraph | None:
    """Return the decoder of a codec as a graph; None for one that has no counterpart in ONNX yet."""
    if isinstance(codec, EncodecCodec):
        decoder: nn.Module = _EncodecGraph(codec)
    elif isinstance(codec, NetworkCodec) and codec.is_traceable:
        decoder = _NetworkGraph(codec)
    else:
        return None
    return CodecGraph(decoder.eval(), codec.spec.hop_length)


class _NetworkGraph(nn.Module):
    """A codec whose own decoding has nothing that ONNX lacks."""

    def __init__(self, codec: NetworkCodec) -> None:
        super().__init__()
        self.network, self.decode = codec.network, codec.decode_batch

    def forward(self, codes: Tensor) -> Tensor:
        """Decode codes [1, K, T] to waveforms [1, N]."""
        return self.decode(codes)


class _EncodecGraph(nn.Module):
    """EnCodec at 24 kHz, with its own decoder or with Vocos."""

    def __init__(self, codec: EncodecCodec) -> None:
        super().__init__()
        self.quantizer = codec.network.quantizer
        vocos, count = codec.vocos, codec.spec.num_codebooks
        self.decoder = _traceable(copy.deepcopy(codec.network.decoder)) if vocos is None else _VocosGraph(vocos, count)

    def forward(self, codes: Tensor) -> Tensor:
        """Decode codes [1, K, T] to waveforms [1, N]."""
        waveforms: Tensor = self.decoder(self.quantizer.decode(codes.transpose(0, 1)))[:, 0]
        return waveforms


class _VocosGraph(nn.Module):
    """`VocosDecoder` for one number of codebooks."""

    def __init__(self, vocos: VocosDecoder, num_codebooks: int) -> None:
        super().__init__()
        self.backbone, self.out = vocos.backbone, vocos.head.out
        transform = vocos.head.istft
        self.fourier = Fourier(ShortTimeFourier(transform.n_fft, transform.hop_length))
        self.bandwidth = nn.Buffer(torch.tensor([vocos.bandwidth(num_codebooks)]))

    def forward(self, features: Tensor) -> Tensor:
        """Decode features [1, 128, T] to waveforms [1, 1, T * hop]."""
        magnitude, phase = self.out(self.backbone(features, bandwidth_id=self.bandwidth)).chunk(2, -1)
        magnitude = magnitude.exp().clamp(max=_LARGEST_MAGNITUDE)
        spectrum = magnitude * phase.cos(), magnitude * phase.sin()
        return self.fourier.synthesize(spectrum, self.fourier.envelope(features.shape[2]))[:, None]


_LARGEST_MAGNITUDE = 1e2  # as the head of Vocos bounds it


def _traceable(module: nn.Module) -> nn.Module:
    """Replace the parts of EnCodec that are traced for one length: convolutions, whose padding depends on it, LSTM."""
    for name, child in module.named_children():
        if isinstance(child, SConv1d):
            setattr(module, name, _CausalConvolution(child))
        elif isinstance(child, SConvTranspose1d):
            setattr(module, name, _CausalUpsampler(child))
        elif isinstance(child, SLSTM):
            setattr(module, name, _Recurrence(child))
        else:
            _traceable(child)
    return module


class _CausalConvolution(nn.Module):
    """A convolution of stride 1 that sees earlier frames only, reflected before the first one."""

    def __init__(self, original: SConv1d) -> None:
        super().__init__()
        self.conv = original.conv
        convolution = original.conv.conv
        assert original.causal and convolution.stride == (1,), "the decoder at 24 kHz is causal"
        self.missing = (convolution.kernel_size[0] - 1) * convolution.dilation[0]

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [1, C, T] to [1, C', T]."""
        outputs: Tensor = self.conv(functional.pad(hidden, (self.missing, 0), mode="reflect"))
        return outputs


class _CausalUpsampler(nn.Module):
    """A transposed convolution without its last samples, which later frames would change."""

    def __init__(self, original: SConvTranspose1d) -> None:
        super().__init__()
        self.conv = original.convtr
        convolution = original.convtr.convtr
        assert original.causal and original.trim_right_ratio == 1, "the decoder at 24 kHz is causal"
        self.extra = convolution.kernel_size[0] - convolution.stride[0]

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [1, C, T] to [1, C', T * stride]."""
        outputs: Tensor = self.conv(hidden)[:, :, : -self.extra]
        return outputs


class _Recurrence(nn.Module):
    """The layers of an LSTM beside a shortcut, a node each: the exporter's own translation keeps the traced length."""

    def __init__(self, original: SLSTM) -> None:
        super().__init__()
        assert original.skip, "the decoder at 24 kHz has a shortcut"
        self.original = original
        self.layers = nn.ModuleList(_LstmLayer(original.lstm, number) for number in range(original.lstm.num_layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [1, C, T] to the same shape."""
        if not torch.compiler.is_exporting():
            whole: Tensor = self.original(hidden)
            return whole
        inputs = hidden.permute(2, 0, 1)
        outputs = inputs
        for layer in self.layers:
            outputs = layer(outputs)
        return (outputs + inputs).permute(1, 2, 0)


class _LstmLayer(nn.Module):
    """The node `LSTM`, with the weights of a layer in its order of gates."""

    def __init__(self, lstm: nn.LSTM, number: int) -> None:
        super().__init__()
        self.size = lstm.hidden_size
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        tensors = [getattr(lstm, f"{name}_l{number}").detach() for name in names]
        inputs, recurrent, *biases = (_in_order_of_onnx(tensor)[None] for tensor in tensors)
        self.inputs, self.recurrent = nn.Buffer(inputs), nn.Buffer(recurrent)
        self.biases = nn.Buffer(torch.cat(biases, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [T, 1, C] to the same shape; while a graph is traced only."""
        outputs = torch.onnx.ops.symbolic(
            "LSTM",
            (hidden, self.inputs, self.recurrent, self.biases),
            {"hidden_size": self.size},
            dtype=hidden.dtype,
            shape=(hidden.shape[0], 1, hidden.shape[1], self.size),
        )
        return outputs[:, 0]


def _in_order_of_onnx(gates: Tensor) -> Tensor:
    """Reorder the gates of torch, input, forget, cell and output, as input, output, forget and cell."""
    given, forget, cell, output = gates.chunk(4)
    return torch.cat([given, output, forget, cell])
