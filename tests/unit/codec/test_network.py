import numpy as np
import torch
from vocos.spectral_ops import ISTFT

from valle.codec.mini.decoder import Filters
from valle.codec.mini.fourier import ShortTimeFourier
from valle.codec.mini.mels import LogMel
from valle.codec.mini.network import MiniConfig
from valle.codec.mini.pitch import PitchLogits
from valle.codec.mini.source import NoiseSource, Pitch, cycles, pulses, sample_pitch


def speech_like(num_samples):
    time = torch.arange(num_samples) / 24_000
    return sum(torch.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 30))[None] * 0.1


def test_the_inverse_is_that_of_vocos():
    fourier = ShortTimeFourier(1280, 320)
    spectrum = torch.randn(2, 9, 641, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    expected = ISTFT(1280, 320, 1280)(spectrum.transpose(1, 2))
    torch.testing.assert_close(fourier.inverse(spectrum, fourier.envelope(9)), expected, atol=1e-5, rtol=1e-4)


def test_there_is_one_frame_of_features_per_hop_whatever_the_length():
    features = MiniConfig().build_features()
    for num_frames in (1, 2, 75):
        assert features(torch.zeros(2, num_frames * 320)).shape == (2, num_frames, 2 * 40 + 30)


def test_silence_is_at_the_floor_and_louder_sound_raises_the_levels_evenly():
    features = MiniConfig().build_features()
    sound = speech_like(9_600)
    assert torch.equal(
        features.band_energies(torch.zeros(1, 3_200)), torch.full((1, 10, 80), np.log(320 * LogMel.FLOOR))
    )
    raised = (features.band_energies(10 * sound) - features.band_energies(sound))[features.band_energies(sound) > -2]
    torch.testing.assert_close(raised, torch.full_like(raised, np.log(10)), atol=1e-3, rtol=0)


def test_the_pitch_is_seen_in_the_lowest_narrow_bands_at_half_the_weight():
    features, sound = MiniConfig().build_features(), speech_like(9_600)
    narrow = LogMel(num_bins=641, num_mels=100, sample_rate=24_000)(ShortTimeFourier(1280, 320)(sound))
    torch.testing.assert_close(features(sound)[..., 80:], 0.5 * narrow[..., :30])


def test_a_click_is_heard_in_its_half_of_the_hop_and_in_the_short_windows_beside_it_only():
    features = MiniConfig().build_features()
    sound = torch.zeros(1, 30 * 320)
    sound[0, 15 * 320 + 80] = 1.0  # the middle of the first short frame of its hop
    levels = features.band_energies(sound)[0].view(60, 40).mean(1)
    assert levels.argmax() == 30
    assert (levels > levels[0] + 1e-3).nonzero().flatten().tolist() == [29, 30, 31]


def test_filters_of_one_leave_the_pulses_as_they_are(random_network, small_config):
    decoder = random_network(small_config).decoder
    pitch = Pitch(torch.full((1, 30), np.log2(130.0)), torch.ones(1, 30))
    train = decoder.pulses(pitch, torch.zeros(1, 1, dtype=torch.float64))
    flat = torch.full((1, 30, 641), np.log(decoder.noise_magnitude))
    nothing = [torch.zeros(1, 30, size) for size in (641, 4, 4, 80)]
    filters = Filters(flat, flat - 30, *nothing)
    output = decoder.add_noise(decoder.voiced(filters, train), filters, torch.randn(1, 9_600))
    torch.testing.assert_close(output[:, 640:-640], train[:, 640:-640], atol=1e-3, rtol=0)


def test_a_gain_acts_within_its_quarter_of_a_hop(random_network, small_config):
    decoder = random_network(small_config).decoder
    flat = torch.full((1, 30, 641), np.log(decoder.noise_magnitude))
    gains = torch.full((1, 30, 4), -4.0)
    gains[:, 15, 2] = 4.0
    filters = Filters(flat - 30, flat, torch.zeros(1, 30, 641), torch.zeros(1, 30, 4), gains, torch.zeros(1, 30, 80))
    noise = torch.randn(1, 9_600, generator=torch.Generator().manual_seed(0))
    output = decoder.add_noise(torch.zeros(1, 30, 641, dtype=torch.complex64), filters, noise)[0].square()
    first = 15 * 320 + 2 * 80
    assert output[first - 80 : first + 160].sum() > 0.98 * output.sum()


def test_a_minimum_phase_filter_answers_after_the_pulse_and_not_before_it(random_network, small_config):
    decoder = random_network(small_config).decoder
    log_magnitude = -(torch.linspace(-3, 3, 641) ** 2)[None, None]
    response = torch.fft.irfft(torch.polar(log_magnitude.exp(), decoder.minimum_phase(log_magnitude)))[0, 0]
    energy = response.square()
    assert energy[:640].sum() > 0.99 * energy.sum()


def test_pulses_repeat_at_the_pitch_with_unit_power_and_stop_where_it_is_unvoiced():
    voicing = torch.ones(1, 40)
    voicing[:, 20:] = 0
    sampled = sample_pitch(Pitch(torch.full((1, 40), np.log2(120.0)), voicing), 320)
    train = pulses(sampled, cycles(sampled, torch.zeros(1, 1, dtype=torch.float64), 24_000), 24_000)[0]
    voiced = train[: 19 * 320]
    assert (torch.diff(torch.nonzero(voiced > 0.9 * voiced.max())[:, 0]) == 200).all()
    assert abs(voiced.square().mean() - 1) < 0.05
    assert train[21 * 320 :].abs().max() == 0


def test_a_voice_is_found_between_its_neighbours_and_not_between_octaves():
    scores = torch.full((1, 1, 160), -10.0)
    scores[..., 40], scores[..., 41], scores[..., 80] = 5.0, 5.0, 4.9
    pitch = PitchLogits(scores, torch.tensor([[0.1]])).decide()
    pitches = torch.linspace(np.log2(45.0), np.log2(700.0), 160)
    torch.testing.assert_close(pitch.log2_hertz[0, 0], (pitches[40] + pitches[41]) / 2, atol=1e-3, rtol=0)
    assert pitch.voicing.item() == 1


def test_the_noise_of_a_clip_does_not_depend_on_how_it_is_asked_for():
    whole, parts = NoiseSource(), NoiseSource()
    pieces = [parts.next(size) for size in (1, 320, 7, 672)]
    assert torch.equal(whole.next(1_000), torch.cat(pieces, 1))


def test_configurations_survive_json():
    config = MiniConfig(dim=48, decoder_layers=3)
    assert MiniConfig.from_json(config.to_json()) == config
