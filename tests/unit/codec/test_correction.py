import math

import pytest
import torch

from valle.codec.mini.correction import BandCorrection
from valle.codec.mini.network import MiniConfig


def noise(num_frames, loudness=0.1):
    return loudness * torch.randn(1, num_frames * 320, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def network(random_network):
    return random_network(MiniConfig())


def levels_of(network, waveforms):
    return network.features.band_energies(waveforms)


def test_speech_that_is_as_its_codes_say_is_left_alone(network):
    speech = noise(40)
    corrected = network.correction(speech, levels_of(network, speech))
    torch.testing.assert_close(corrected, speech, atol=1e-5, rtol=0)


def test_each_band_of_each_frame_is_brought_to_what_is_wanted(network):
    speech = noise(60)
    slope = torch.linspace(-1.5, 1.5, 40).repeat(2) + torch.linspace(1, -1, 60)[:, None]
    wanted = levels_of(network, speech) + slope
    missed = [
        (levels_of(network, found) - wanted).abs().mean() for found in (speech, network.correction(speech, wanted))
    ]
    assert missed[1] < 0.1 * missed[0]


def test_no_band_is_raised_without_bound(network):
    speech = noise(40, 1e-3)
    corrected = network.correction(speech, levels_of(network, speech) + 50)
    raised = (levels_of(network, corrected) - levels_of(network, speech)).mean()
    assert raised.item() == pytest.approx(3.0 * BandCorrection.ROUNDS, abs=0.2)


def test_nothing_farther_than_the_overlap_is_heard_of(network):
    speech, wanted = noise(60), levels_of(network, noise(60)) + 1
    changed, other = speech.clone(), wanted.clone()
    changed[:, : 20 * 320] = 0
    other[:, :20] -= 2
    reached = 20 + network.correction.overlap
    [whole], [part] = network.correction(speech, wanted), network.correction(changed, other)
    assert torch.equal(whole[reached * 320 :], part[reached * 320 :])
    assert not torch.equal(whole[20 * 320 : reached * 320], part[20 * 320 : reached * 320])


def test_a_level_is_interpolated_between_bands_up_to_the_last_bin(network):
    levels = network.features.log_mel.to_bins(torch.full((1, 40), math.pi))
    torch.testing.assert_close(levels, torch.full((1, 321), math.pi))
    rising = network.features.log_mel.to_bins(torch.arange(40.0))
    assert (rising.diff() >= -1e-4).all() and rising[-1] > 38


def test_the_decoder_has_a_say_in_what_speech_is_corrected_to(network):
    latents = torch.randn(1, 60, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.decoder.band_offsets.weight.zero_()
        network.decoder.band_offsets.bias.zero_()
        before = levels_of(network, network.decode(latents))
        network.decoder.band_offsets.bias.view(2, 40)[:, 16:24] = 0.5
        raised = levels_of(network, network.decode(latents)) - before
    raised = raised.view(60, 2, 40)
    assert raised[..., 17:23].mean().item() == pytest.approx(0.5, abs=0.1)
    assert raised[..., :15].abs().mean() < 0.05
