"""UniSpeech's speaker encoder in small, with random weights under the names of the published file."""

import numpy as np
import pytest
import torch

from valle.backends.speaker import open_speaker_encoder, speaker_encoder_revision
from valle.backends.speaker.wavlm import WavlmEcapa, WavlmShape, WavlmSpeaker
from warehouse.errors import DependencyError

SMALL = WavlmShape(
    convolutions=((16, 10, 5), *((16, 3, 2),) * 4, *((16, 2, 2),) * 2),
    width=32,
    num_layers=2,
    num_heads=4,
    feed_forward=64,
    position_kernel=16,
    position_groups=4,
    channels=16,
    pooled=24,
    bottleneck=8,
    embedding=12,
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = WavlmEcapa(SMALL).eval()
    with torch.no_grad():
        for name, value in [*network.named_parameters(), *network.named_buffers()]:
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5 if "var" in name else 0.3 * torch.randn_like(value))
    return network


def as_published(network):
    """The weights as fairseq and UniSpeech name them, written down by hand for this shape."""
    own, published = network.state_dict(), {}
    inner = "feature_extract.model."
    for place in range(7):
        published[f"{inner}feature_extractor.conv_layers.{place}.0.weight"] = (
            f"feature_extractor.conv_layers.{place}.conv.weight"
        )
        for kind in ("weight", "bias"):
            published[f"{inner}feature_extractor.conv_layers.{place}.2.1.{kind}"] = (
                f"feature_extractor.conv_layers.{place}.layer_norm.{kind}"
            )
    for kind in ("weight", "bias"):
        published[f"{inner}post_extract_proj.{kind}"] = f"encoder.feature_projection.projection.{kind}"
        published[f"{inner}layer_norm.{kind}"] = f"encoder.feature_projection.layer_norm.{kind}"
        published[f"{inner}encoder.layer_norm.{kind}"] = f"encoder.transformer.layer_norm.{kind}"
    position = "encoder.transformer.pos_conv_embed.conv"
    published[f"{inner}encoder.pos_conv.0.bias"] = f"{position}.bias"
    published[f"{inner}encoder.pos_conv.0.weight_g"] = f"{position}.parametrizations.weight.original0"
    published[f"{inner}encoder.pos_conv.0.weight_v"] = f"{position}.parametrizations.weight.original1"
    for layer in range(2):
        theirs, ours = f"{inner}encoder.layers.{layer}", f"encoder.transformer.layers.{layer}"
        published[f"{theirs}.self_attn.grep_a"] = f"{ours}.attention.gru_rel_pos_const"
        for kind in ("weight", "bias"):
            published[f"{theirs}.self_attn.grep_linear.{kind}"] = f"{ours}.attention.gru_rel_pos_linear.{kind}"
            published[f"{theirs}.self_attn.out_proj.{kind}"] = f"{ours}.attention.attention.out_proj.{kind}"
            published[f"{theirs}.self_attn_layer_norm.{kind}"] = f"{ours}.layer_norm.{kind}"
            published[f"{theirs}.fc1.{kind}"] = f"{ours}.feed_forward.intermediate_dense.{kind}"
            published[f"{theirs}.fc2.{kind}"] = f"{ours}.feed_forward.output_dense.{kind}"
            published[f"{theirs}.final_layer_norm.{kind}"] = f"{ours}.final_layer_norm.{kind}"
    published[f"{inner}encoder.layers.0.self_attn.relative_attention_bias.weight"] = (
        "encoder.transformer.layers.0.attention.rel_attn_embed.weight"
    )
    weights = {name: own[f"wavlm.{ours}"] for name, ours in published.items()}
    for layer in range(2):
        for kind in ("weight", "bias"):
            joined = own[f"wavlm.encoder.transformer.layers.{layer}.attention.attention.in_proj_{kind}"]
            for one, part in zip("qkv", joined.chunk(3), strict=True):
                weights[f"{inner}encoder.layers.{layer}.self_attn.{one}_proj.{kind}"] = part.clone()
    weights |= {name: value for name, value in own.items() if not name.startswith("wavlm.")}
    weights[f"{inner}mask_emb"] = torch.zeros(32)
    weights["loss_calculator.projection.weight"] = torch.zeros(3, 12)
    return weights


def saved(weights, path):
    torch.save({"model": weights}, path)
    return path


@pytest.fixture
def clips():
    generator = np.random.default_rng(0)
    return [generator.standard_normal(size).astype(np.float32) * 0.1 for size in (8_000, 12_345)]


def test_the_published_names_load_strictly_and_give_what_the_network_gives(network, clips, tmp_path):
    encoder = WavlmSpeaker(saved(as_published(network), tmp_path / "w.pth"), shape=SMALL)
    for samples, voice in zip(clips, encoder.embed(clips), strict=True):
        with torch.inference_mode():
            expected = network(torch.from_numpy(samples)[None])[0]
        assert voice.shape == (12,)
        assert np.allclose(voice, torch.nn.functional.normalize(expected, dim=0).numpy(), atol=1e-5)
        assert np.linalg.norm(voice) == pytest.approx(1.0, abs=1e-5)


def test_there_is_a_hidden_state_before_each_layer_and_one_after_all(network, clips):
    with torch.inference_mode():
        states = network.hidden_states(torch.from_numpy(clips[0])[None])
        layers, _ = network.wavlm.extract_features(
            torch.nn.functional.layer_norm(torch.from_numpy(clips[0]), (len(clips[0]),))[None]
        )
        last = network.wavlm.encoder.transformer.layer_norm(layers[1])
    assert len(states) == 3
    assert torch.allclose(states[1], layers[0], atol=1e-5)
    assert torch.allclose(states[2], last, atol=1e-5)


def test_loudness_does_not_change_a_voice(network, clips, tmp_path):
    encoder = WavlmSpeaker(saved(as_published(network), tmp_path / "w.pth"), shape=SMALL)
    quiet, loud = encoder.embed([clips[0], clips[0] * 4])
    assert quiet @ loud == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    "lost",
    [
        "layer2.SE_Connect.linear1.bias",
        "feature_weight",
        "feature_extract.model.encoder.layers.1.fc2.weight",
        "feature_extract.model.encoder.layers.0.self_attn.k_proj.weight",
    ],
)
def test_a_missing_weight_is_refused_and_not_ignored(network, tmp_path, lost):
    weights = as_published(network)
    del weights[lost]
    with pytest.raises(DependencyError, match="does not hold the weights of WavLM-Large"):
        WavlmSpeaker(saved(weights, tmp_path / "w.pth"), shape=SMALL)


def test_an_unknown_weight_is_refused(network, tmp_path):
    weights = as_published(network) | {"feature_extract.model.encoder.layers.2.fc1.bias": torch.zeros(64)}
    with pytest.raises(DependencyError, match="does not hold the weights"):
        WavlmSpeaker(saved(weights, tmp_path / "w.pth"), shape=SMALL)


def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DependencyError, match="cannot be read as weights"):
        WavlmSpeaker(tmp_path / "w.pth", shape=SMALL)


def test_silence_and_clicks_have_no_voice(network, tmp_path):
    encoder = WavlmSpeaker(saved(as_published(network), tmp_path / "w.pth"), shape=SMALL)
    for voice in encoder.embed([np.zeros(8_000, np.float32), np.ones(100, np.float32)]):
        assert np.isnan(voice).all()


def test_the_encoder_is_opened_by_name_from_the_models_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path))
    with pytest.raises(DependencyError, match=r"wavlm_large_finetune\.pth does not exist"):
        open_speaker_encoder("wavlm_large")
    (tmp_path / "wavlm_large_finetune.pth").write_bytes(b"x" * 100)
    assert speaker_encoder_revision("wavlm_large").startswith("wavlm_large@")
