import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from valle.backends.speaker import speaker_encoder_revision
from valle.backends.speaker.base import SAMPLE_RATE
from valle.evaluation.metrics.drift import long_rows
from valle.evaluation.report.report import write_report
from valle.evaluation.report.score_sections import (
    missing_speech_sections,
    speaker_drift_sections,
    word_drift_section,
)
from valle.evaluation.stats.bootstrap import BootstrapOptions

FAST = BootstrapOptions(replicas=200)
EIGHT = "one two three four five six seven eight"


@pytest.mark.parametrize(("seconds", "expected"), [(20.0, 0), (20.5, 1)])
def test_the_table_counts_long_speech(make_row, seconds, expected):
    row = dataclasses.replace(make_row(reference=EIGHT, hypothesis="one"), duration=seconds)
    made = word_drift_section({"model": [row]}, FAST)
    assert made.rows == (("`model`", "50.00", "100.00", "100.00", "100.00", "2.00", expected),)


def test_only_long_speech_is_cut(spoken):
    rows = [spoken("prompt_copied", [0.5], 3), spoken("model", [0.5], 20)]
    assert long_rows(rows) == []
    assert speaker_drift_sections(rows) == []


def test_speaker_drift_is_never_measured_by_another_encoder_than_the_scores(spoken):
    rows = [spoken("prompt_copied", [0.5], 3), spoken("model", [0.5], 24)]
    (other,) = speaker_drift_sections([replace(row, speaker_model="resemblyzer@another") for row in rows])
    assert other.rows == () and "installed is `resemblyzer@" in other.intro
    (unknown,) = speaker_drift_sections([replace(row, speaker_model="given") for row in rows])
    assert unknown.intro.startswith("Not measured: Unknown speaker encoder 'given'")


def test_the_encoder_of_the_scores_is_opened_by_their_label(spoken):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 21 * SAMPLE_RATE).astype(np.float32)
    rows = [spoken("prompt_copied", [0.5], 1), replace(spoken("model", [0.5], 1), duration=21.0)]
    for row, seconds in zip(rows, (2, 21), strict=True):
        soundfile.write(row.path, noise[: seconds * SAMPLE_RATE], SAMPLE_RATE)
    revision = speaker_encoder_revision("resemblyzer")
    (made,) = speaker_drift_sections([replace(row, speaker_model=revision) for row in rows], options=FAST)
    (line,) = made.rows
    assert (line[0], line[-1]) == ("`model`", 1)
    assert all(0.3 < float(cell) <= 1.0 for cell in line[1:5])


def test_a_report_of_long_speech_has_the_section(spoken, tmp_path):
    systems = ("ground_truth", "codec", "shuffled_speaker", "prompt_copied", "espeak", "model")
    rows = [replace(spoken(system, [0.5], 1), duration=24.0) for system in systems]
    rows = [replace(row, speaker_model="given") for row in rows]
    report = write_report(rows, tmp_path / "report", title="t", provenance={}, options=FAST)
    assert "## Speaker drift\n\nNot measured: " in report.markdown_path.read_text(encoding="utf-8")


def test_missing_speech_is_counted_by_system_and_reason(make_row):
    lost = [
        replace(make_row("model", f"u{number}", path=None, sim_o=0.0), failure="longer than 180 s")
        for number in range(2)
    ]
    unexplained = make_row("model", "u2", path=None, sim_o=0.0)
    (made,) = missing_speech_sections({"model": [*lost, unexplained], "codec": [make_row("codec")]})
    assert made.rows == (
        ("`model`", "longer than 180 s", 2, "`u0`"),
        ("`model`", "no reason was recorded", 1, "`u2`"),
    )
    assert missing_speech_sections({"codec": [make_row("codec")]}) == []
