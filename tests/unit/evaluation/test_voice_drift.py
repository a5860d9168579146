from dataclasses import replace

import numpy as np
import pytest
import soundfile

from valle.backends.speaker import speaker_encoder_revision
from valle.backends.speaker.base import SAMPLE_RATE
from valle.evaluation.metrics.voice_drift import long_rows, measure_voice_drift, split_quarters, voice_drift_sections
from valle.evaluation.report.report import write_report
from valle.evaluation.stats.bootstrap import BootstrapOptions

FAST = BootstrapOptions(replicas=200)


class ByLevel:
    """An encoder for which a voice is its mean level: loud and quiet voices are at right angles."""

    def embed(self, waveforms):
        vectors = {0.5: [1.0, 0.0], 0.1: [0.0, 1.0], 0.0: [np.nan, np.nan]}
        return [np.array(vectors[round(float(np.abs(w).mean()), 1)], dtype=np.float32) for w in waveforms]


@pytest.fixture
def spoken(make_row, tmp_path):
    """Makes a row whose audio has the given levels, each for as many seconds."""

    def make(system, levels, seconds, **changes):
        samples = np.repeat(np.array(levels, dtype=np.float32), int(seconds * SAMPLE_RATE))
        path = tmp_path / f"{system}-{changes.get('utterance', 'u0')}.wav"
        soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
        return replace(make_row(system, path=str(path)), duration=len(samples) / SAMPLE_RATE, prompt="p", **changes)

    return make


def test_quarters_hold_every_sample_once():
    samples = np.arange(10, dtype=np.float32)
    assert [len(part) for part in split_quarters(samples)] == [3, 3, 2, 2]
    assert np.array_equal(np.concatenate(split_quarters(samples)), samples)


def test_a_voice_that_wanders_off_is_seen_in_its_quarters(spoken):
    rows = [
        spoken("prompt_copied", [0.5], 3),
        spoken("model", [0.5, 0.5, 0.5, 0.1], 6),
        spoken("model", [0.5, 0.5, 0.1, 0.0], 6, utterance="u1", speaker="bob"),
        spoken("ground_truth", [0.5, 0.5, 0.5, 0.5], 6),
    ]
    truth, model = measure_voice_drift(rows, ByLevel(), options=FAST)
    assert [quarter.value for quarter in truth.quarters] == [1.0, 1.0, 1.0, 1.0]
    assert [quarter.value for quarter in model.quarters] == [1.0, 1.0, 0.5, 0.0]
    assert (truth.system, model.system, model.num_scores) == ("ground_truth", "model", 2)


def test_only_long_speech_is_cut(spoken):
    rows = [spoken("prompt_copied", [0.5], 3), spoken("model", [0.5], 20)]
    assert long_rows(rows) == []
    assert voice_drift_sections(rows) == []


def test_speech_whose_file_or_prompt_is_gone_is_left_out(spoken):
    kept, gone = spoken("model", [0.5], 24), spoken("model", [0.5], 24, utterance="u1")
    gone = replace(gone, path=gone.path + ".gone")
    (drift,) = measure_voice_drift([spoken("prompt_copied", [0.5], 3), kept, gone], ByLevel(), options=FAST)
    assert drift.num_scores == 1
    assert measure_voice_drift([kept], ByLevel(), options=FAST) == []


def test_the_voice_is_never_measured_by_another_encoder_than_the_scores(spoken):
    rows = [spoken("prompt_copied", [0.5], 3), spoken("model", [0.5], 24)]
    (other,) = voice_drift_sections([replace(row, speaker_model="resemblyzer@another") for row in rows])
    assert other.rows == () and "installed is `resemblyzer@" in other.intro
    (unknown,) = voice_drift_sections([replace(row, speaker_model="given") for row in rows])
    assert unknown.intro.startswith("Not measured: there is no speaker encoder called 'given'")


def test_the_encoder_of_the_scores_is_opened_by_their_label(spoken):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 21 * SAMPLE_RATE).astype(np.float32)
    rows = [spoken("prompt_copied", [0.5], 1), replace(spoken("model", [0.5], 1), duration=21.0)]
    for row, seconds in zip(rows, (2, 21), strict=True):
        soundfile.write(row.path, noise[: seconds * SAMPLE_RATE], SAMPLE_RATE)
    revision = speaker_encoder_revision("resemblyzer")
    (made,) = voice_drift_sections([replace(row, speaker_model=revision) for row in rows], options=FAST)
    (line,) = made.rows
    assert (line[0], line[-1]) == ("`model`", 1)
    assert all(0.3 < float(cell) <= 1.0 for cell in line[1:5])


def test_a_report_of_long_speech_has_the_section(spoken, tmp_path):
    systems = ("ground_truth", "codec", "shuffled_speaker", "prompt_copied", "espeak", "model")
    rows = [replace(spoken(system, [0.5], 1), duration=24.0) for system in systems]
    rows = [replace(row, speaker_model="given") for row in rows]
    report = write_report(rows, tmp_path / "report", title="t", provenance={}, options=FAST)
    assert "## Drift of the voice\n\nNot measured: " in report.markdown_path.read_text(encoding="utf-8")
