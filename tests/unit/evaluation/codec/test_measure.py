"""The embedded codec on two clips of the demo corpus, scored by the embedded metric models."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from valle.audio import AudioLocation, read_audio
from valle.backends.registry import Backends
from valle.codec import codec_spec, spec_of_given_codes
from valle.evaluation.codec.measure import codebook_counts, measure_codec, measure_use
from valle.evaluation.codec.report import aggregate_resynthesis, quality_figures, write_codec_report
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.fidelity import FIDELITY_RATE, intelligibility, log_mel_distance
from valle.evaluation.metrics.models import MetricModels
from warehouse.lake.tables import Lake
from warehouse.model_rows import ScoreRow

DEMO = Path(__file__).parents[4] / "manifests" / "demo"


def items_of_the_demo(count):
    lines = (DEMO / "corpus.tsv").read_text().splitlines()
    names = lines[0].split("\t")
    rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines[1:]]
    longest = sorted(rows, key=lambda row: -float(row["duration"]))[:count]
    return [
        EvaluationItem(
            utterance=row["id"],
            text=row["text"],
            language="en",
            speaker=row["speaker"],
            location=AudioLocation(str(DEMO / row["file"])),
            duration=float(row["duration"]),
            prompt=row["id"],
            prompt_location=None,
            prompt_text="",
            prompt_duration=None,
            protocol="resynthesis",
        )
        for row in longest
    ]


@pytest.fixture(scope="module")
def measurement(tmp_path_factory):
    torch.set_num_threads(1)
    return measure_codec(
        items_of_the_demo(2),
        "mini",
        (8, 1),
        evaluation="codec-report-test",
        speech=tmp_path_factory.mktemp("speech"),
        models=MetricModels(scorers=()),
        backends=Backends(),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_the_recording_is_like_itself_and_fewer_codebooks_are_less_like_it(measurement):
    original, eight, one = aggregate_resynthesis(measurement, (8, 1))
    assert original.cosine.value == pytest.approx(1, abs=1e-5)
    assert original.log_mel_distance.value == 0
    assert original.stoi.value == pytest.approx(1, abs=1e-5)
    assert 1 > eight.cosine.value > one.cosine.value
    assert 1 > eight.stoi.value > one.stoi.value
    assert 0 < eight.log_mel_distance.value < one.log_mel_distance.value
    assert (eight.bits_per_second, one.bits_per_second) == (6000, 750)
    assert original.added_wer is None
    assert eight.added_wer.difference <= one.added_wer.difference


def test_the_figures_of_a_header_are_those_of_the_report_and_say_what_they_are_of(measurement):
    recorded, eight = aggregate_resynthesis(measurement, [8])
    figures = quality_figures(measurement, 8)
    assert (figures["codebooks"], figures["clips"]) == (8, 2)
    assert figures["words"] == sum(row.num_words for row in measurement.rows) / 3
    assert str(figures["asr"]).startswith("tiny.en")
    assert figures["wer"] == pytest.approx(eight.wer.value, abs=1e-4)
    assert figures["wer_of_recordings"] == pytest.approx(recorded.wer.value, abs=1e-4)
    assert figures["speaker_cosine"] == pytest.approx(eight.cosine.value, abs=1e-4)
    assert "distillmos" not in figures  # not among the scorers


def test_every_row_goes_into_the_lake_and_its_audio_is_a_file(measurement, tmp_path):
    lake = Lake(tmp_path)
    lake.append(ScoreRow, measurement.rows, "scores:codec-report-test")
    assert len(measurement.rows) == 2 * 3
    for row in measurement.rows:
        assert read_audio(AudioLocation(row.path)).samples.size == pytest.approx(24_000 * row.duration, abs=1)
        assert row.protocol == "resynthesis"


def test_the_report_has_rate_use_and_difference_and_shows_its_plots(measurement, tmp_path):
    both = [measurement, measurement]
    report = write_codec_report(both, (8, 1), tmp_path / "report", title="Codecs: mini", unavailable={"x": "a file"})
    text = report.markdown_path.read_text()
    assert "| codec_mini_8 | 6,000 |" in text
    assert "| mini | 24,000 | 75.0 | 8 x 1024 | 6.0 |" in text
    assert "- `x` lacks a file" in text
    assert len(report.plots) == 3
    for plot in report.plots:
        assert plot.path.stat().st_size > 1_000
        assert f"]({plot.path.name})" in text
    assert f"over {measurement.num_frames:,} frames" in text


def test_fewer_codebooks_are_parts_of_all_that_a_codec_has():
    assert codebook_counts(codec_spec("mini")) == (8, 4, 2, 1)
    assert codebook_counts(spec_of_given_codes("dac_44khz")) == (9, 4, 2, 1)
    assert codebook_counts(spec_of_given_codes("dac_24khz")) == (32, 16, 8, 4)
    assert codebook_counts(spec_of_given_codes("encodec_24khz_1.5kbps")) == (2, 1)
    assert codebook_counts(spec_of_given_codes("encodec_24khz_1.5kbps"), (1, 8, 4)) == (2, 1)


def test_use_counts_entries_and_the_bits_of_an_even_use():
    codes = [np.array([[0, 1, 2, 3], [5, 5, 5, 5]], np.int16), np.array([[0, 1, 2, 3], [5, 5, 5, 5]], np.int16)]
    even, single = measure_use(codes, 8)
    assert (even.num_entries, even.entropy) == (4, 2.0)
    assert (single.num_entries, abs(single.entropy)) == (1, 0.0)


def test_fidelity_falls_with_noise_and_is_zero_for_too_little_speech():
    rng = np.random.default_rng(0)
    row = items_of_the_demo(1)[0]
    speech = read_audio(row.location, FIDELITY_RATE).samples
    quiet, loud = (speech + rng.normal(0, level, len(speech)).astype(np.float32) for level in (0.001, 0.3))
    assert 1 >= intelligibility(speech, quiet, FIDELITY_RATE) > intelligibility(speech, loud, FIDELITY_RATE) > 0
    assert log_mel_distance(speech, quiet) < log_mel_distance(speech, loud)
    assert intelligibility(speech[:100], speech[:100], FIDELITY_RATE) == 0
    assert log_mel_distance(speech[:100], speech[:100]) == 0
