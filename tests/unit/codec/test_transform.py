import pytest
import torch

from valle.codec.mini.network import MiniNetwork
from valle.codec_training.band_predictor import BandPredictor
from valle.codec_training.fit import fit_codes, least_squares_filter, partial_whitening


def generator():
    return torch.Generator().manual_seed(1)


def slow_noise(num_rows, num_frames, width, *, memory=0.9):
    """Autoregressive noise [B, T, width]: every frame is mostly the one before."""
    draws = torch.randn(num_frames, num_rows, width, generator=generator())
    frames = [draws[0]]
    for draw in draws[1:]:
        frames.append(memory * frames[-1] + (1 - memory**2) ** 0.5 * draw)
    return torch.stack(frames, 1)


def power_over_time(frames):
    window = torch.hann_window(frames.shape[1])[:, None]
    return torch.fft.rfft(frames * window, dim=1).abs().square().mean((0, 2))


def filtered(frames, taps):
    padded = torch.nn.functional.pad(frames.transpose(1, 2), (taps.shape[1] // 2,) * 2, mode="replicate")
    return torch.nn.functional.conv1d(padded, taps[:, None], groups=len(taps)).transpose(1, 2)


NUM_LEVELS, NUM_FEATURES = 80, 110


def some_features(num_rows=12, num_frames=60):
    """Features [B, T, 110] of ten components that change slowly."""
    mixing = torch.randn(10, NUM_FEATURES, generator=generator())
    return slow_noise(num_rows, num_frames, 10) @ mixing * 0.5 - 2.0


def fitted(config, features):
    torch.manual_seed(0)
    network, reader = MiniNetwork(config).eval(), BandPredictor(config).eval()
    fit_codes(network, reader, features, num_rounds=5, generator=generator())
    return network, reader


def through_codes(network, latents, num_band_energies=8):
    codes = network.quantizer.encode(latents.flatten(0, 1))
    return network.quantizer.decode(codes[:num_band_energies]).view_as(latents)


def test_part_whitening_takes_a_power_of_the_range_of_the_spectrum():
    frames = slow_noise(200, 64, 3)
    before, after = power_over_time(frames), power_over_time(filtered(frames, partial_whitening(frames, 15)))
    slow, fast = slice(1, 4), slice(26, 30)
    span_before, span_after = (float(power[slow].mean() / power[fast].mean()) for power in (before, after))
    assert span_before > 50
    assert span_after == pytest.approx(span_before**0.65, rel=0.35)


def test_white_errors_behind_the_filter_are_as_loud_before_it():
    frames = slow_noise(200, 64, 3)
    response = torch.fft.rfft(partial_whitening(frames, 15), 256).abs()
    torch.testing.assert_close((1 / response).square().mean(1), torch.ones(3), atol=0.25, rtol=0)


def test_what_a_filter_did_is_undone_by_least_squares():
    frames = slow_noise(100, 40, 4)
    changed = filtered(frames, partial_whitening(frames, 15))
    back = least_squares_filter(changed, frames, 15)
    assert back.shape == (4, 4, 15)
    padded = torch.nn.functional.pad(changed.transpose(1, 2), (7, 7), mode="replicate")
    found = torch.nn.functional.conv1d(padded, back).transpose(1, 2)
    assert (found - frames).square().mean() < 0.02 * frames.square().mean()


@torch.no_grad()
def test_levels_are_read_off_fitted_codes_before_any_step(small_config):
    features = some_features()
    network, reader = fitted(small_config, features)
    read = reader(network.decoder, through_codes(network, network.transform(features)))
    levels = features[..., :NUM_LEVELS]
    assert (read - levels).abs().mean() < 0.25 * (levels - levels.mean((0, 1))).abs().mean()


@torch.no_grad()
def test_the_correction_reads_what_the_decoder_begins_with(small_config):
    features = some_features()
    network, reader = fitted(small_config, features)
    latents = through_codes(network, network.transform(features))
    torch.testing.assert_close(
        network.correction.band_filter(latents), reader(network.decoder, latents), atol=1e-4, rtol=0
    )


@torch.no_grad()
def test_more_codebooks_are_read_better(small_config):
    features = some_features()
    network, reader = fitted(small_config, features)
    latents, levels = network.transform(features), features[..., :NUM_LEVELS]
    read = [reader(network.decoder, through_codes(network, latents, count)) for count in (1, 2, 4, 8)]
    missed = [(some - levels).abs().mean() for some in read]
    assert missed == sorted(missed, reverse=True)


@torch.no_grad()
def test_latents_have_unit_variance_and_the_backbone_says_nothing_at_first(small_config):
    features = some_features()
    network, reader = fitted(small_config, features)
    latents = network.transform(features)
    assert latents.square().mean().item() == pytest.approx(1.0, abs=1e-3)
    before = reader(network.decoder, latents)
    for parameter in network.decoder.backbone.parameters():
        parameter.normal_()
    torch.testing.assert_close(reader(network.decoder, latents), before)
