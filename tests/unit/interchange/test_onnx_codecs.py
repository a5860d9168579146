"""Decoders of other codecs with random weights: ONNX Runtime gives the samples of the codec itself."""

from functools import partial

import numpy as np
import pytest
import torch

from tests.unit.codec.test_adapters import dac, encodec_48khz, nvidia
from valle.codec.encodec.mono import EncodecCodec, VocosDecoder, build_encodec_24khz, prepare_for_inference
from valle.interchange.onnx.codecs import FEWEST_FRAMES, INPUTS
from valle.interchange.onnx.export import TOLERANCE, export_decoder, run_graph

pytest.importorskip("onnxscript")
RNG = np.random.default_rng(0)


def encodec(has_vocos):
    torch.manual_seed(0)
    model = prepare_for_inference(build_encodec_24khz())
    for layer in model.quantizer.vq.layers:
        layer._codebook.embed.normal_()
    vocos = VocosDecoder().eval() if has_vocos else None
    return EncodecCodec(model, name="encodec_24khz", revision="random", num_codebooks=8, vocos=vocos)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(partial(encodec, has_vocos=False), id="encodec"),
        pytest.param(partial(encodec, has_vocos=True), id="vocos", marks=pytest.mark.long),
        pytest.param(partial(dac, "dac_16khz"), id="dac", marks=pytest.mark.long),
        pytest.param(nvidia, id="nvidia", marks=pytest.mark.long),
    ],
)
def test_a_graph_decodes_clips_of_any_length_to_the_samples_of_the_codec(tmp_path, build):
    codec = build()
    graph = export_decoder(codec, tmp_path / "codec.onnx")
    assert graph is not None
    assert graph.difference < TOLERANCE
    for frames in (FEWEST_FRAMES, 61):
        codes = RNG.integers(0, codec.spec.codebook_size, (codec.spec.num_codebooks, frames))
        samples = run_graph(tmp_path / "codec.onnx", {INPUTS[0]: torch.from_numpy(codes)})
        [expected] = codec.decode([codes.astype(np.int16)])
        assert np.abs(expected).max() > 1e-3, "silence would prove nothing"
        assert samples.shape == expected.shape == (frames * codec.spec.hop_length,)
        assert np.abs(samples - expected).max() < 1e-5


def test_a_decoder_without_a_counterpart_is_left_out(tmp_path):
    assert export_decoder(encodec_48khz(), tmp_path / "codec.onnx") is None
    assert not (tmp_path / "codec.onnx").exists()
