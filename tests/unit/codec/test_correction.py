import math

import pytest
import torch

from valle.codec.correction import BandCorrection
from valle.codec.network import MiniConfig


def noise(num_frames, loudness=0.1):
    return loudness * torch.randn(1, num_frames * 320, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def network(random_network):
    return random_network(MiniConfig())


def log_mels_of(network, waveforms):
    return network.log_mel(network.fourier(waveforms))


def test_speech_that_is_as_its_codes_say_is_left_alone(network):
    speech = noise(40)
    corrected = network.correction(speech, log_mels_of(network, speech))
    torch.testing.assert_close(corrected, speech, atol=1e-5, rtol=0)


def test_each_band_of_each_frame_is_brought_to_what_is_wanted(network):
    speech = noise(60)
    slope = torch.linspace(-1.5, 1.5, 100) + torch.linspace(1, -1, 60)[:, None]
    wanted = log_mels_of(network, speech) + slope
    missed = [
        (log_mels_of(network, found) - wanted).abs().mean() for found in (speech, network.correction(speech, wanted))
    ]
    assert missed[1] < 0.1 * missed[0]


def test_no_band_is_raised_without_bound(network):
    speech = noise(40, 1e-3)
    corrected = network.correction(speech, log_mels_of(network, speech) + 50)
    raised = (log_mels_of(network, corrected) - log_mels_of(network, speech)).mean()
    assert raised.item() == pytest.approx(3.0 * BandCorrection.ROUNDS, abs=0.2)


def test_nothing_farther_than_the_overlap_is_heard_of(network):
    speech, wanted = noise(60), log_mels_of(network, noise(60)) + 1
    changed, other = speech.clone(), wanted.clone()
    changed[:, : 20 * 320] = 0
    other[:, :20] -= 2
    reached = 20 + BandCorrection.OVERLAP
    [whole], [part] = network.correction(speech, wanted), network.correction(changed, other)
    assert torch.equal(whole[reached * 320 :], part[reached * 320 :])
    assert not torch.equal(whole[20 * 320 : reached * 320], part[20 * 320 : reached * 320])


def test_a_level_is_interpolated_between_bands_up_to_the_last_bin(network):
    levels = network.log_mel.to_bins(torch.full((1, 100), math.pi))
    torch.testing.assert_close(levels, torch.full((1, 641), math.pi))
    rising = network.log_mel.to_bins(torch.arange(100.0))
    assert (rising.diff() >= -1e-4).all() and rising[-1] > 98


def test_the_decoder_has_a_say_in_what_speech_is_corrected_to(network):
    latents = torch.randn(1, 60, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.decoder.mel_offsets.weight.zero_()
        network.decoder.mel_offsets.bias.zero_()
        before = log_mels_of(network, network.decode(latents))
        network.decoder.mel_offsets.bias[40:60] = 0.5
        raised = log_mels_of(network, network.decode(latents)) - before
    assert raised[..., 42:58].mean().item() == pytest.approx(0.5, abs=0.1)
    assert raised[..., :38].abs().mean() < 0.05
