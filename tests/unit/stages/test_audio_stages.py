from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.stages.inputs import backends_with, noise, rows_of, silence, work_item
from valle.audio import Samples
from valle.codec.base import CodecSpec, Codes
from valle.stages.quality import Quality
from valle.stages.quantize import Quantize
from valle.stages.speakers import Speakers
from warehouse.errors import ConfigurationError


class CountingCodec:
    """Codes that count frames and codebooks."""

    def __init__(self, num_codebooks: int = 8, sample_rate: int = 24_000):
        self.spec = CodecSpec("counting", "0", sample_rate, 320, num_codebooks, 1024)

    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        return [
            (np.arange(self.spec.num_frames(len(w)))[None] % 1000 + np.arange(self.spec.num_codebooks)[:, None]).astype(
                np.int16
            )
            for w in waveforms
        ]

    def decode(self, codes: Sequence[Codes]) -> list[Samples]:
        raise AssertionError("quantize never decodes")


class FirstSampleEncoder:
    def embed(self, waveforms: Sequence[Samples]) -> list[np.ndarray]:
        return [np.eye(256, dtype=np.float32)[int(samples[0] * 10)] for samples in waveforms]


class LengthScorer:
    """Scores a segment with its number of samples."""

    def score(self, waveforms: Sequence[Samples]) -> list[dict[str, float]]:
        return [{"dnsmos_ovrl": float(len(samples))} for samples in waveforms]


def test_codes_lie_one_column_per_codebook_in_the_order_of_the_segments():
    items = [work_item(noise(1.0, 24_000), 24_000, id="a"), work_item(noise(0.5, 24_000), 24_000, id="b")]
    rows = rows_of(Quantize(), items, backends_with(codec=("mini", CountingCodec())))
    assert [(row.segment_id, row.num_frames, row.codec) for row in rows] == [
        ("a", 75, "counting@0"),
        ("b", 38, "counting@0"),
    ]
    assert rows[0].codes[0] == list(range(75)) and rows[0].codes[7] == list(range(7, 82))


@pytest.mark.parametrize("num_codebooks", [1, 4, 9, 13, 32])
def test_a_codec_may_have_any_number_of_codebooks(num_codebooks: int):
    item = work_item(noise(1.0, 24_000), 24_000)
    (row,) = rows_of(Quantize(), [item], backends_with(codec=("mini", CountingCodec(num_codebooks))))
    assert (row.num_codebooks, len(row.codes), row.num_frames) == (num_codebooks, num_codebooks, 75)


def test_codes_that_sixteen_bits_cannot_store_are_refused():
    codec = CountingCodec()
    codec.spec = replace(codec.spec, codebook_size=1 << 16)
    with pytest.raises(ConfigurationError, match="65536 entries per codebook"):
        Quantize().process([], backends_with(codec=("mini", codec)))


def test_silence_has_no_codes_and_leaves_the_others_in_place():
    items = [
        work_item(silence(1.0, 24_000), 24_000, id="quiet"),
        work_item(noise(1.0, 24_000), 24_000, id="loud"),
    ]
    quiet, loud = rows_of(Quantize(), items, backends_with(codec=("mini", CountingCodec())))
    assert (quiet.segment_id, quiet.drop_reason, quiet.codes, quiet.num_frames) == ("quiet", "silent", None, None)
    assert (loud.segment_id, loud.drop_reason, loud.num_frames) == ("loud", None, 75)


def test_a_codec_of_another_rate_is_refused_with_the_option_to_set():
    with pytest.raises(ConfigurationError, match="set sample_rate of quantize"):
        Quantize().process([], backends_with(codec=("mini", CountingCodec(sample_rate=44_100))))


def test_embeddings_keep_the_order_of_their_segments_and_short_segments_are_dropped():
    items = [
        work_item(np.full(16_000, 0.3, np.float32), id="a"),
        work_item(np.full(1_000, 0.5, np.float32), id="b"),
        work_item(np.full(8_000, 0.7, np.float32), id="c"),
    ]
    rows = rows_of(Speakers(), items, backends_with(speaker=("resemblyzer", FirstSampleEncoder())))
    assert [row.drop_reason for row in rows] == [None, "too_short", None]
    assert [np.argmax(row.embedding) for row in (rows[0], rows[2])] == [3, 7]


def test_quality_joins_scores_with_measures_at_the_recordings_own_rate():
    items = [work_item(noise(1.0, 24_000), 24_000, id="a"), work_item(silence(1.0, 24_000), 24_000, id="b")]
    loud, silent = rows_of(Quality(), items, backends_with(quality=("dnsmos", LengthScorer())))
    assert loud.dnsmos_ovrl == 16_000 and loud.distillmos is None
    assert loud.bandwidth > 11_000
    assert (silent.drop_reason, silent.dnsmos_ovrl) == ("silent", None)


def test_quality_without_scorers_is_arithmetic_only():
    (row,) = rows_of(Quality(scorers=()), [work_item(noise(1.0))], backends_with())
    assert row.loudness == pytest.approx(-20, abs=0.5) and row.dnsmos_ovrl is None


def test_samples_that_only_overflow_when_they_are_resampled_are_dropped_and_leave_their_neighbours():
    huge = np.resize(np.array([3e38, -3e38, 3e38, 3e38], np.float32), 24_000)
    items = [work_item(huge, 24_000, id="huge"), work_item(noise(1.0, 24_000), 24_000, id="fine")]
    huge_row, fine = rows_of(Quality(), items, backends_with(quality=("dnsmos", LengthScorer())))
    assert (huge_row.drop_reason, fine.drop_reason, fine.dnsmos_ovrl) == ("not_finite", None, 16_000)
