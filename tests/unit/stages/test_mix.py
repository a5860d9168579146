"""Mixtures: the level that was drawn, equal lengths, and what was added as codes of its own."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.stages.inputs import backends_with, noise, rows_of, silence, work_item
from tests.unit.stages.test_audio_stages import CountingCodec
from valle.audio import Audio, AudioLocation
from valle.stages.base import Interferer
from valle.stages.mix import Mix
from valle.stages.rules.interferers import keyed_number
from valle.stages.rules.mixing import add_at_snr, change_voice, reverberate
from warehouse.errors import ConfigurationError

RATE = 24_000


def mixed(kind, added=None, *, id="s"):
    item = work_item(noise(1.0, RATE), RATE, id=id)
    interferer = None
    if added is not None:
        interferer = Interferer(id="n", kind=kind, licence="CC0-1.0", location=AudioLocation("none"), start=0.5)
    source = replace(item.input, mixture_kind=kind, interferer=interferer)
    return replace(item, input=source, interference=None if added is None else Audio(added, RATE))


def power(samples):
    return float(np.mean(np.square(samples, dtype=np.float64)))


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_the_noise_is_as_far_below_the_speech_as_was_drawn(snr):
    speech, added = noise(1.0, level=0.05), noise(0.3, level=0.02, seed=1)
    mixture = add_at_snr(speech, added, snr)
    assert 10 * np.log10(power(speech) / power(mixture - speech)) == pytest.approx(snr, abs=0.05)
    assert len(mixture) == len(speech) and mixture.dtype == np.float32


def test_silence_adds_nothing_and_a_loud_sum_stays_within_full_scale():
    speech = noise(0.2, level=0.5)
    assert np.array_equal(add_at_snr(speech, silence(0.1), 0.0), speech)
    assert np.array_equal(add_at_snr(speech, silence(0.0), 0.0), speech)
    assert np.abs(add_at_snr(speech, noise(0.2, level=0.5, seed=2), 0.0)).max() <= 0.9901


def test_a_room_of_one_impulse_changes_nothing_and_another_keeps_the_loudness():
    speech = noise(0.5)
    impulse = np.zeros(100, np.float32)
    impulse[3] = 0.7
    assert np.allclose(reverberate(speech, impulse), speech, atol=1e-6)
    tail = np.exp(-np.arange(4000) / 800).astype(np.float32)
    wet = reverberate(speech, tail)
    assert power(wet) == pytest.approx(power(speech), rel=0.01) and not np.allclose(wet, speech, atol=0.01)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_changed_voice_has_its_pitch_and_the_same_length(factor):
    tone = (0.3 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)
    changed = change_voice(tone, RATE, factor)
    assert len(changed) == len(tone)
    peak = np.abs(np.fft.rfft(changed)).argmax() * RATE / len(changed)
    assert peak == pytest.approx(200 * factor, rel=0.02)


def test_a_mixture_has_the_codes_of_the_sum_and_of_what_was_added_with_its_lineage():
    items = [mixed("noise", noise(0.4, RATE, seed=1)), mixed("voice", id="v"), mixed(None, id="alone")]
    rows = {row.segment_id: row for row in rows_of(Mix(), items, backends_with(codec=("mini", CountingCodec())))}
    assert (rows["s"].kind, rows["s"].interferer, rows["s"].interferer_licence) == ("noise", "n", "CC0-1.0")
    assert rows["s"].num_frames == 75 and rows["s"].num_codebooks == len(rows["s"].codes) == 16
    assert 0 <= rows["s"].snr <= 20 and rows["s"].interferer_start == 0.5
    assert rows["v"].num_codebooks == 8 and rows["v"].snr is None
    assert 1.1 <= max(rows["v"].factor, 1 / rows["v"].factor) <= 1.4
    assert rows["alone"].drop_reason == "no_interferer"
    with pytest.raises(ConfigurationError, match="sample_rate of mix"):
        Mix(sample_rate=16_000).process([], backends_with(codec=("mini", CountingCodec())))


def test_draws_depend_on_seed_id_and_purpose_alone():
    assert keyed_number(0, "s", "snr") == keyed_number(0, "s", "snr") == pytest.approx(0.7, abs=0.7)
    numbers = [keyed_number(0, f"s{index}", "snr") for index in range(2000)]
    assert np.mean(numbers) == pytest.approx(0.5, abs=0.03) and len(set(numbers)) == 2000
    assert len({keyed_number(*key) for key in ((0, "s", "a"), (1, "s", "a"), (0, "t", "a"), (0, "s", "b"))}) == 4
