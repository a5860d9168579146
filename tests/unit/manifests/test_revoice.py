"""Voices by WORLD: words stay, the voice is another, and the command can be started again."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from sine_speaker import SineSpeaker, small

from manifests.corpora.synthetic import TABLE, parse_table
from manifests.synthesis.revoice import VoiceChange, change_voice, draw_voice, main, revoice
from manifests.synthesis.synthesize import synthesize
from warehouse.errors import ConfigurationError, ManifestError

RATE = 24_000
SAME = VoiceChange(pitch=120.0, range=1.0, tract=1.0, gains=(0.0,) * 7, breath=1.0, speed=1.0)


def rows_of(folder):
    return {row.id: row for row in parse_table((folder / TABLE).read_text(encoding="utf-8"))}


def vowel(pitch=120.0, formant=900.0, seconds=0.6):
    """Pulses at `pitch` with one resonance at `formant`."""
    pulses = np.zeros(int(RATE * seconds))
    pulses[:: int(RATE / pitch)] = 1.0
    time = np.arange(int(0.03 * RATE)) / RATE
    ring = np.exp(-2 * np.pi * 80 * time) * np.sin(2 * np.pi * formant * time)
    return (0.3 * np.convolve(pulses, ring)[: len(pulses)]).astype(np.float32)


def pitch_of(samples):
    import pyworld

    pitch, times = pyworld.dio(samples.astype(np.float64), RATE)
    pitch = pyworld.stonemask(samples.astype(np.float64), pitch, times, RATE)
    return float(np.median(pitch[pitch > 0]))


def formant_of(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    smooth = np.convolve(spectrum, np.hanning(241), "same")
    return float(np.fft.rfftfreq(len(samples), 1 / RATE)[smooth.argmax()])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    synthesize(small(folder), SineSpeaker())
    return folder


def test_pitch_and_vocal_tract_vary_apart():
    higher = change_voice(vowel(), RATE, replace(SAME, pitch=180.0))
    shorter = change_voice(vowel(), RATE, replace(SAME, tract=1.2))
    assert pitch_of(higher) == pytest.approx(180, rel=0.03)
    assert formant_of(higher) == pytest.approx(900, rel=0.1)
    assert pitch_of(shorter) == pytest.approx(120, rel=0.03)
    assert formant_of(shorter) == pytest.approx(1.2 * 900, rel=0.1)


def test_speed_changes_the_length_and_no_pitch_and_loudness_stays():
    faster = change_voice(vowel(), RATE, replace(SAME, speed=1.25))
    assert len(faster) == pytest.approx(len(vowel()) / 1.25, rel=0.03)
    assert pitch_of(faster) == pytest.approx(120, rel=0.03)
    assert np.sqrt((faster**2).mean()) == pytest.approx(np.sqrt((vowel() ** 2).mean()), rel=0.05)


def test_gains_shape_the_spectrum():
    high = change_voice(vowel(), RATE, replace(SAME, gains=(-9.0,) * 4 + (9.0,) * 3))

    def share_above(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        return power[len(power) // 4 :].sum() / power.sum()

    assert share_above(high) > 5 * share_above(change_voice(vowel(), RATE, SAME))


def test_silence_stays_silent():
    changed = change_voice(np.zeros(RATE // 2, dtype=np.float32), RATE, draw_voice("a", "female", 1))
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() < 1e-3


def test_a_voice_is_a_function_of_its_name():
    assert draw_voice("a", "male", 3) == draw_voice("a", "male", 3)
    assert len({draw_voice(name, "male", index).pitch for name in "ab" for index in range(4)}) == 8


def test_every_training_clip_comes_in_as_many_voices_as_asked(source, tmp_path):
    added = revoice(source, tmp_path, 4, copies=2)
    main_clips = {row.id: row for row in rows_of(source).values() if row.split == "main"}
    rows = rows_of(tmp_path)
    assert added == len(rows) == 2 * len(main_clips) > 0
    for row in rows.values():
        clip = main_clips[row.id.rpartition("@w")[0]]
        assert (row.text, row.voice.rpartition("@w")[0]) == (clip.text, clip.voice)
        assert row.id.rpartition("@w")[2] == row.voice.rpartition("@w")[2]
        assert float(row.duration_s) == pytest.approx(soundfile.info(tmp_path / row.file).duration, abs=0.01)
    revoiced = [row.voice for row in rows.values()]
    assert len(set(revoiced)) > len({clip.voice for clip in main_clips.values()})


def test_a_second_call_adds_what_is_missing_alone(source, tmp_path):
    revoice(source, tmp_path, 4)
    before = (tmp_path / TABLE).read_bytes()
    assert revoice(source, tmp_path, 4) == 0
    assert revoice(source, tmp_path, 4, copies=2) > 0
    assert (tmp_path / TABLE).read_bytes().startswith(before)


@pytest.mark.parametrize(("voices", "copies"), [(0, 1), (3, 4), (3, 0)])
def test_impossible_numbers_are_refused(source, tmp_path, voices, copies):
    with pytest.raises(ConfigurationError, match="at least one voice"):
        revoice(source, tmp_path, voices, copies=copies)


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"manifests\.synthesis\.synthesize"):
        revoice(tmp_path, tmp_path / "out", 3)


def test_the_command_says_in_a_sentence_what_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["revoice", "--source", str(tmp_path), "--out", str(tmp_path), "--voices", "0"])
    assert main() == 1
    assert "at least one voice" in capsys.readouterr().err
