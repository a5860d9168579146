from dataclasses import replace

import numpy as np
import torch
from torch import nn
from vocos.spectral_ops import ISTFT

from valle.codec.network import LogMel, MiniConfig, ShortTimeFourier


def speech_like(num_samples):
    time = torch.arange(num_samples) / 24_000
    return sum(torch.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 30))[None] * 0.1


def log_mel_of_waveforms(config):
    return nn.Sequential(ShortTimeFourier(config.window, config.hop_length), LogMel(config))


def test_the_inverse_is_that_of_vocos():
    fourier = ShortTimeFourier(1280, 320)
    spectrum = torch.randn(2, 9, 641, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    expected = ISTFT(1280, 320, 1280)(spectrum.transpose(1, 2))
    torch.testing.assert_close(fourier.inverse(spectrum, fourier.envelope(9)), expected, atol=1e-5, rtol=1e-4)


def test_the_log_mel_has_one_frame_per_hop_whatever_the_length():
    log_mel = log_mel_of_waveforms(MiniConfig())
    for num_frames in (1, 2, 75):
        assert log_mel(torch.zeros(2, num_frames * 320)).shape == (2, 100, num_frames)


def test_silence_is_at_the_floor_and_louder_sound_raises_the_log_mel_evenly():
    log_mel = log_mel_of_waveforms(MiniConfig())
    sound = speech_like(9_600)
    assert torch.equal(log_mel(torch.zeros(1, 3_200)), torch.full((1, 100, 10), np.log(LogMel.FLOOR)))
    raised = (log_mel(10 * sound) - log_mel(sound))[log_mel(sound) > -2]
    torch.testing.assert_close(raised, torch.full_like(raised, np.log(10)), atol=1e-3, rtol=0)


def test_latents_have_one_scale_in_every_frame(random_network, small_config):
    latents = random_network(small_config).encode(speech_like(3_200))
    torch.testing.assert_close(latents.mean(-1), torch.zeros(1, 10), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.square().mean(-1), torch.ones(1, 10), atol=1e-2, rtol=0)


def test_a_consistent_spectrum_comes_back_as_its_sound(random_network, small_config):
    network = random_network(small_config)
    sound = speech_like(9_600)
    spectrum = network.fourier(sound)
    output = network.synthesise(spectrum.abs().clamp(min=1e-6).log(), spectrum.angle())
    torch.testing.assert_close(output[:, 640:-640], sound[:, 640:-640], atol=1e-3, rtol=0)


def test_a_phase_round_brings_the_sound_nearer_to_the_magnitudes_asked_for(random_network, small_config):
    wanted = None
    distances = []
    for rounds in (0, 1, 4):
        network = random_network(replace(small_config, phase_rounds=rounds))
        wanted = network.fourier(speech_like(9_600)).abs()
        phase = torch.rand(wanted.shape, generator=torch.Generator().manual_seed(0)) * 6.28
        made = network.fourier(network.synthesise(wanted.clamp(min=1e-6).log(), phase)).abs()
        distances.append((made - wanted).norm().item())
    assert distances == sorted(distances, reverse=True)


def test_configurations_survive_json():
    config = MiniConfig(dim=48, phase_rounds=3)
    assert MiniConfig.from_json(config.to_json()) == config
