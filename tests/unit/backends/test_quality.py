import sys

import numpy as np
import pytest
from speechmos.dnsmos import run

from tests.unit.backends.clips import sentences
from valle.audio import resample
from valle.backends.dnsmos_int8 import _INACTIVE, _WEAK, P808Spectrum, quantize_convolution
from valle.backends.quality import _dnsmos_paths, measure, open_quality_scorer, quality_scorer_revision
from valle.backends.weights import package_directory
from warehouse.errors import ConfigurationError, DependencyError


@pytest.fixture(scope="module")
def speech():
    return sentences(1)[0].samples


def noisy(samples: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    return samples + noise * float(np.sqrt(np.mean(samples**2))) * 0.5


def test_dnsmos_detects_noise(speech):
    clean, bad = open_quality_scorer("dnsmos").score([speech, noisy(speech)])
    assert set(clean) == {"dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808"}
    assert 2.5 < clean["dnsmos_ovrl"] < 5
    assert bad["dnsmos_ovrl"] < clean["dnsmos_ovrl"] - 0.5


@pytest.mark.parametrize("seconds", [pytest.param(2.0, marks=pytest.mark.long), 6.0, 9.5, 12.3])
def test_the_full_dnsmos_is_the_published_number(speech, seconds):
    """speechmos computes it from the whole clip; a clip of two seconds is doubled three times and has seven windows."""
    repeated = np.tile(speech, 10)[: round(seconds * 16_000)]
    (ours,) = open_quality_scorer("dnsmos_full").score([repeated])
    published = run(repeated, 16_000)
    assert ours["dnsmos_ovrl"] == pytest.approx(float(published["ovrl_mos"]), abs=1e-4)
    assert ours["dnsmos_p808"] == pytest.approx(float(published["p808_mos"]), abs=1e-4)


def test_noise_at_the_very_end_lowers_the_default_dnsmos_and_not_the_published_one(speech):
    clean = np.tile(speech, 10)[: round(9.9 * 16_000)]
    bad = clean.copy()
    bad[-round(0.85 * 16_000) :] = noisy(clean)[-round(0.85 * 16_000) :] * 3
    for name, is_lower in (("dnsmos", True), ("dnsmos_full", False)):
        before, after = (scores["dnsmos_ovrl"] for scores in open_quality_scorer(name).score([clean, bad]))
        assert (after < before - 0.02) == is_lower, name


def test_dnsmos_in_integers_is_close_to_that_in_floats_and_its_p808_is_the_same(speech):
    clips = [speech[:80_000], noisy(speech)[:140_000]]
    exact, rounded = (open_quality_scorer(name).score(clips) for name in ("dnsmos", "dnsmos_int8"))
    for one, other in zip(exact, rounded, strict=True):
        assert other["dnsmos_p808"] == pytest.approx(one["dnsmos_p808"], abs=1e-3)
        for column in ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak"):
            assert other[column] == pytest.approx(one[column], abs=0.06)
            assert other[column] != one[column], "another network"
    assert quality_scorer_revision("dnsmos_int8") != quality_scorer_revision("dnsmos")


def test_a_convolution_in_integers_keeps_its_weights_within_half_a_step():
    weights = np.random.default_rng(0).standard_normal((3, 2, 3, 3)).astype(np.float32)
    weights[2] = 0  # a channel without weights has a scale too
    bias = np.array([0.5, -0.25, 0.0], np.float32)
    found = quantize_convolution(weights, bias, -1.0, 4.1)
    scales = found.weight_scales[:, None, None, None]
    assert np.abs(found.weights * scales - weights).max() <= found.weight_scales[:2].max() / 2 + 1e-6
    assert np.abs(found.weights).max() == 63, "two products of seven and eight bits fit into 16"
    assert (0 - int(found.zero_point)) * found.input_scale == pytest.approx(-1.0, abs=float(found.input_scale) / 2)
    np.testing.assert_allclose(found.bias * found.weight_scales * found.input_scale, bias, atol=1e-3)


@pytest.mark.parametrize("level", [1.0, 1e-3, 0.0])
def test_the_spectrum_of_p808_is_that_of_speechmos(speech, level):
    from speechmos.dnsmos import DNSMOS

    samples = (speech * level).astype(np.float32)
    published = DNSMOS.audio_melspec(None, samples)
    found = P808Spectrum()(samples)
    assert found.shape == published.shape
    np.testing.assert_allclose(found, published, atol=2e-3)


def test_dnsmos_in_integers_omits_channels_with_no_or_little_effect(speech):
    """Omitted outputs of the second convolution never exceed zero; without those of the first it changes little."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    torch = pytest.importorskip("torch")
    model = onnx.load(str(_dnsmos_paths()[0]))
    made = [node.output[0] for node in model.graph.node if node.op_type == "Conv" and len(node.input) == 3][:2]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in made)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (stored,) = (one for one in model.graph.initializer if one.name == "conv2d_1/kernel:0")
    weights = torch.from_numpy(onnx.numpy_helper.to_array(stored).copy())[:, list(_WEAK)]
    tone = np.sign(np.sin(np.arange(144_160) * 0.2)).astype(np.float32)
    for samples in (np.resize(noisy(speech), 144_160), tone, np.zeros(144_160, np.float32)):
        first, second = (torch.from_numpy(found) for found in session.run(made, {"input_1": samples[None]}))
        assert second[0, list(_INACTIVE)].max() < 0 < second.max()
        without = second - torch.nn.functional.conv2d(first[:, list(_WEAK)].relu(), weights, padding=1)
        assert (without.relu() - second.relu()).norm() < 0.12 * second.relu().norm()


def test_dnsmos_in_integers_names_the_package_that_it_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DependencyError, match="pip install 'onnx"):
        open_quality_scorer("dnsmos_int8")


@pytest.mark.skipif(package_directory("distillmos") is None, reason="needs the evaluation extra (distillmos)")
def test_distillmos_detects_lost_bandwidth(speech):
    dull = resample(resample(speech, 16_000, 4_000), 4_000, 16_000)
    clean, bad = open_quality_scorer("distillmos").score([speech, dull])
    assert bad["distillmos"] < clean["distillmos"] - 0.3


def test_an_unknown_scorer_is_refused():
    with pytest.raises(ConfigurationError, match="dnsmos"):
        open_quality_scorer("utmos")
    assert quality_scorer_revision("dnsmos").startswith("dnsmos@")


def test_signal_to_noise_follows_the_noise(speech):
    assert (measure(speech, 16_000).snr or 0) > (measure(noisy(speech), 16_000).snr or 0) + 10


@pytest.mark.parametrize("band", [4_000, 8_000])
def test_bandwidth_finds_the_band_that_resampling_lost(band: int):
    white = (0.1 * np.random.default_rng(0).standard_normal(48_000)).astype(np.float32)
    dull = resample(resample(white, 24_000, 2 * band), 2 * band, 24_000)
    assert measure(dull, 24_000).bandwidth == pytest.approx(band, rel=0.06)
    assert (measure(white, 24_000).bandwidth or 0) > 11_000


def test_loudness_is_the_level_and_clipping_the_share_of_held_peaks():
    tone = np.sin(np.arange(16_000) / 20).astype(np.float32)
    assert measure(tone, 16_000).loudness == pytest.approx(-3.01, abs=0.05)
    assert measure(0.5 * tone, 16_000).clipping == 0
    clipped = np.clip(2 * tone, -1, 1)
    assert measure(clipped, 16_000).clipping == pytest.approx(2 / 3, abs=0.02)


def test_silence_and_crumbs_have_no_measures():
    silent = measure(np.zeros(16_000, np.float32), 16_000)
    assert (silent.snr, silent.bandwidth, silent.loudness, silent.clipping) == (None, None, None, 0.0)
    assert measure(np.full(100, 0.1, np.float32), 16_000).snr is None
    assert measure(np.zeros(0, np.float32), 16_000).loudness is None
