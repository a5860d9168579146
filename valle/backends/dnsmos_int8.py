"""Rewrite the network of DNSMOS P.835 to convolutions of 8-bit integers, and compute the spectrum of P.808 by products.

Nearly all arithmetic of DNSMOS is in three 3x3 convolutions with 64 and 128 channels. Processors multiply four times as
many 8-bit integers as 32-bit floats in one instruction (VNNI). Weights have one scale per output channel, the input of
a convolution has one scale (Jacob et al. 2018, equations 1 and 10). The graph marks where tensors are quantized
(QuantizeLinear and DequantizeLinear), and ONNX Runtime replaces the convolutions between by integer ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import DependencyError

_COMMAND = "pip install 'onnx>=1.18'"
_OPSET = 13  # the first in which a scale per channel is allowed
_INPUT_LEVELS = 255
# Seven bits: without VNNI, processors add pairs of products in 16 bits, which products of eight bits exceed.
_LARGEST_WEIGHT = 63

# The smallest and the largest value of the input of each convolution, in their order, over clean, noisy, quiet, clipped
# and full-scale speech, white noise, a sine and a square wave. The first one is the logarithmic power spectrum.
_INPUT_RANGES = ((-12.0, 4.1), (0.0, 5.8), (0.0, 13.6), (0.0, 9.6), (0.0, 5.7), (0.0, 2.8), (0.0, 2.4))

# Channels of the second convolution that never exceed zero, so that its ReLU makes them zero: over those signals their
# largest value is -0.1. Patches of the spectrum that were optimized for them reach 0.4, of a range of 13.6.
# Three more (55, 56, 62) are kept: with 44 channels the integer kernels are twice as fast as with 41.
_INACTIVE = (2, 4, 8, 12, 21, 22, 29, 30, 31, 33, 34, 36, 38, 40, 41, 42, 44, 46, 48, 53)
# Channels of the first convolution with the least effect: without them the output of the second one changes by 1.3 %,
# half of what 8 bits change, and the scores are as near as with them (decision 57).
_WEAK = (0, 1, 26, 28, 33, 49, 51, 57, 59, 73, 76, 77, 103, 113, 115, 118)
_SAMPLE_RATE = 16_000
_FRAME, _HOP, _MELS = 321, 160, 120  # of the spectrum of P.808
_SMALLEST_POWER = np.float32(1e-10)
_SMALLEST_RATIO = np.float32(1e-8)  # 80 dB
# Products of so many frames stay in the cache, and in memory that numpy need not ask of the system each time.
_FRAMES_AT_ONCE = 128
_POINTS = 9  # of a 3x3 kernel
_POINT_CHANNELS = 12


@dataclass(frozen=True, slots=True)
class QuantizedConvolution:
    """The constants of a convolution: input = (q - zero_point) * input_scale, weight[c] = q[c] * weight_scales[c]."""

    input_scale: np.float32
    zero_point: np.uint8
    weights: NDArray[np.int8]  # [out, in, 3, 3]
    weight_scales: NDArray[np.float32]  # [out]
    bias: NDArray[np.int32]  # [out], of scale input_scale * weight_scales


def quantize_convolution(
    weights: NDArray[np.float32], bias: NDArray[np.float32], low: float, high: float
) -> QuantizedConvolution:
    """Quantize a convolution [out, in, 3, 3] whose inputs are within `low` (at most 0) and `high`."""
    input_scale = np.float32((high - low) / _INPUT_LEVELS)
    weight_scales = (np.abs(weights).reshape(len(weights), -1).max(axis=1) / _LARGEST_WEIGHT).astype(np.float32)
    weight_scales[weight_scales == 0] = 1.0
    return QuantizedConvolution(
        input_scale=input_scale,
        zero_point=np.uint8(round(-low / float(input_scale))),
        weights=np.rint(weights / weight_scales[:, None, None, None]).astype(np.int8),
        weight_scales=weight_scales,
        bias=np.rint(bias / (input_scale * weight_scales)).astype(np.int32),
    )


def quantized_network(path: Path) -> bytes:
    """Return the ONNX model of `path` with integer convolutions; raise DependencyError without the package onnx."""
    try:
        import onnx
    except ImportError as error:
        raise DependencyError(f"dnsmos_int8 needs the package onnx: run `{_COMMAND}`.") from error
    model = onnx.load(str(path))
    _raise_opset(model)
    graph = model.graph
    constants = remove_channels({one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}, graph)
    nodes: list[Any] = []
    ranges = iter(_INPUT_RANGES)
    for node in list(_with_neighbours(graph, constants)):
        # The Fourier transform is a convolution over time alone, and it keeps its precision.
        if node.op_type == "Conv" and len(node.input) == 3 and constants[node.input[1]].ndim == 4:
            source, weights, bias = node.input
            convolution = quantize_convolution(constants[weights], constants[bias], *next(ranges))
            nodes.extend(_quantize_inputs(node, source, convolution, graph))
        nodes.append(node)
    assert next(ranges, None) is None, "another network"
    del graph.node[:]
    graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def remove_channels(constants: dict[str, NDArray[Any]], graph: Any) -> dict[str, NDArray[Any]]:
    """Return the constants without the weak outputs of the first convolution and the inactive ones of the second."""
    convolutions = [node for node in graph.node if node.op_type == "Conv" and constants[node.input[1]].ndim == 4]
    left = dict(constants)
    for made, read, channels in zip(convolutions, convolutions[1:], (_WEAK, _INACTIVE), strict=False):
        (_, weights, bias), (_, readers, _) = made.input, read.input
        left[weights] = np.delete(left[weights], channels, axis=0)
        left[bias] = np.delete(left[bias], channels)
        left[readers] = np.delete(left[readers], channels, axis=1)
    return left


def _with_neighbours(graph: Any, constants: dict[str, NDArray[Any]]) -> Iterator[Any]:
    """Yield the nodes; the first convolution of a spectrum reads the neighbours of a point as channels.

    It has one input channel, for which ONNX Runtime gathers single bytes. A convolution over one point is a product of
    matrices instead. Three channels of nine have no weight: integer kernels want multiples of four.
    """
    from onnx import helper

    is_first = True
    for node in graph.node:
        if is_first and node.op_type == "Conv" and constants[node.input[1]].ndim == 4:
            is_first = False
            source, weights, _ = node.input
            flat = constants[weights].reshape(-1, _POINTS)
            constants[weights] = np.pad(flat, ((0, 0), (0, _POINT_CHANNELS - _POINTS)))[:, :, None, None]
            selection = np.eye(_POINT_CHANNELS, _POINTS, dtype=np.float32).reshape(-1, 1, 3, 3)
            node.input[0] = f"{source}.neighbours"
            yield helper.make_node(
                "Conv", [source, _add_constant(graph, f"{source}.selection", selection)], node.input[:1], pads=[1] * 4
            )
            del node.attribute[:]
        yield node


def _quantize_inputs(node: Any, source: str, convolution: QuantizedConvolution, graph: Any) -> Iterator[Any]:
    """Let a convolution read quantized tensors; yield the nodes that make them."""
    from onnx import helper

    def constant(label: str, value: Any) -> str:
        return _add_constant(graph, f"{node.output[0]}.{label}", value)

    input_names = [constant("scale", convolution.input_scale), constant("zero", convolution.zero_point)]
    quantized, *restored = (f"{node.output[0]}.{label}" for label in ("quantized", "input", "weights", "bias"))
    yield helper.make_node("QuantizeLinear", [source, *input_names], [quantized])
    yield helper.make_node("DequantizeLinear", [quantized, *input_names], [restored[0]])
    scales = convolution.weight_scales
    for label, values, scale, name in (
        ("w", convolution.weights, scales, restored[1]),
        ("b", convolution.bias, scales * convolution.input_scale, restored[2]),
    ):
        inputs = [constant(label, values), constant(f"{label}_scale", scale)]
        yield helper.make_node("DequantizeLinear", inputs, [name], axis=0)
    node.input[:] = restored


def _add_constant(graph: Any, name: str, value: Any) -> str:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def _raise_opset(model: Any) -> None:
    """Declare the operators of opset 13; of those in use only Unsqueeze differs: its axes are an input."""
    model.opset_import[0].version = _OPSET
    for number, node in enumerate(model.graph.node):
        if node.op_type == "Unsqueeze":
            (axes,) = (list(attribute.ints) for attribute in node.attribute if attribute.name == "axes")
            del node.attribute[:]
            node.input.append(_add_constant(model.graph, f"axes.{number}", np.array(axes, np.int64)))


class P808Spectrum:
    """The input of P.808, as `DNSMOS.audio_melspec` of speechmos, with the transform and the filters computed once.

    The transform has 321 points, which are few enough for products with its matrix. Its window and its cosines are even
    around the middle of a frame and its sines odd, so a product reads sums or differences of two points.
    """

    def __init__(self) -> None:
        from librosa.filters import mel

        points = np.arange(1, _FRAME // 2 + 1)  # the window is zero at the first point of a frame
        window = 0.5 - 0.5 * np.cos(2 * np.pi * points / _FRAME)
        angles = 2 * np.pi * np.outer(points, np.arange(_FRAME // 2 + 1)) / _FRAME
        self._cosines = (window[:, None] * np.cos(angles)).astype(np.float32)  # [160, 161]
        self._sines = (window[:, None] * np.sin(angles)).astype(np.float32)
        self._filters = mel(sr=_SAMPLE_RATE, n_fft=_FRAME, n_mels=_MELS).T  # [161, 120]

    def __call__(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return decibels [frames, 120] of 16 kHz audio below its loudest point, as 1 + decibels / 40, at least -1."""
        half = _FRAME // 2
        padded = np.pad(audio.astype(np.float32, copy=False), half)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
        mels = np.empty((len(frames), _MELS), np.float32)
        for start in range(0, len(frames), _FRAMES_AT_ONCE):
            some = frames[start : start + _FRAMES_AT_ONCE]
            first, second = some[:, 1 : half + 1], some[:, :half:-1]
            real, imaginary = (first + second) @ self._cosines, (first - second) @ self._sines
            np.matmul(real**2 + imaginary**2, self._filters, out=mels[start : start + len(some)])
        loudest = np.maximum(mels.max(), _SMALLEST_POWER)
        ratios = np.maximum(np.maximum(mels, _SMALLEST_POWER) / loudest, _SMALLEST_RATIO)
        # The natural logarithm: that of base 10 is not vectorised.
        spectrum: NDArray[np.float32] = np.log(ratios) * np.float32(10 / np.log(10) / 40) + np.float32(1)
        return spectrum
