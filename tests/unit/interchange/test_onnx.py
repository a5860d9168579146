"""ONNX graphs compute what torch does, at other lengths than those that were traced."""

import numpy as np
import pytest
import torch

from valle.backends.registry import Backends
from valle.checkpoints.checkpoint import load_model
from valle.checkpoints.runs import EMBEDDED, newest_checkpoint
from valle.cli import main
from valle.codec.mini.source import NoiseSource
from valle.interchange.onnx.export import CODEC, NAR, run_graph
from valle.interchange.onnx.mini import INPUTS as CODEC_INPUTS
from valle.interchange.onnx.nar import INPUTS, NarGraph
from valle.model.batch import make_batch
from valle.model.layout import Mode
from valle.tasks.tts import TTS
from warehouse.errors import ConfigurationError

pytest.importorskip("onnxscript")
# Tracing the two networks takes half a minute.
pytestmark = pytest.mark.long
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx") / "english"
    assert main(["export", "--run", EMBEDDED, "--format", "onnx", "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize(
    ("codebook", "symbols", "prompt", "frames"), [(1, 5, 30, 20), (4, 31, 9, 101), (7, 12, 150, 64)]
)
def test_the_nar_has_our_logits(folder, codebook, symbols, prompt, frames):
    model, card = load_model(newest_checkpoint(folder, EMBEDDED))
    ids = RNG.integers(4, card.model.num_symbols, symbols)
    codes, target = RNG.integers(0, 1024, (8, prompt)), RNG.integers(0, 1024, (7, frames))
    row = TTS.row(ids, 1, codebook, codes, target[:codebook])
    with torch.no_grad():
        expected = model(make_batch(TTS.layout(Mode.NAR), [row], card.model)).numpy()
    values = (ids, np.array([1]), np.array([codebook]), codes, target)
    inputs = {name: torch.from_numpy(value) for name, value in zip(INPUTS, values, strict=True)}
    assert np.abs(run_graph(folder / NAR, inputs) - expected).max() < 1e-3


@pytest.mark.parametrize("frames", [7, 200])
def test_the_codec_decodes_to_our_samples(folder, frames):
    codec = Backends().codec("mini")
    samples = 0.3 * np.sin(2 * np.pi * np.cumsum(np.linspace(90, 220, frames * 320)) / 24_000) ** 3
    [codes] = codec.encode([samples.astype(np.float32)])
    noise = NoiseSource().next(frames * 320)[0]
    inputs = dict(zip(CODEC_INPUTS, (torch.from_numpy(codes.astype(np.int64)), noise), strict=True))
    assert np.abs(run_graph(folder / CODEC, inputs) - codec.decode([codes])[0]).max() < 1e-3


def test_another_model_is_refused_in_one_sentence(folder):
    model, _ = load_model(newest_checkpoint(folder, EMBEDDED))
    model.config = model.config.model_copy(update={"trunk": "mamba"})
    with pytest.raises(ConfigurationError, match="trunk llama"):
        NarGraph(model)
