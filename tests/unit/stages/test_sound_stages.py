from collections.abc import Sequence

import numpy as np
import pytest

from tests.unit.stages.inputs import backends_with, noise, silence, work_item
from valle.audio import Samples
from valle.codec.base import CodecSpec, Codes
from valle.stages.quality import Quality
from valle.stages.quantize import Quantize
from valle.stages.speakers import Speakers
from warehouse.errors import ConfigurationError
from warehouse.lake.arrow import to_table
from warehouse.rows import CodesRow, QualityRow, SpeakerRow


class CountingCodec:
    """Codes that say which frame and codebook they are."""

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


class FirstSampleVoice:
    def embed(self, waveforms: Sequence[Samples]) -> list[np.ndarray]:
        return [np.eye(256, dtype=np.float32)[int(samples[0] * 10)] for samples in waveforms]


class Critic:
    def score(self, waveforms: Sequence[Samples]) -> list[dict[str, float]]:
        return [{"dnsmos_ovrl": float(len(samples))} for samples in waveforms]


def test_codes_lie_one_column_per_codebook_in_the_order_of_the_segments():
    items = [work_item(noise(1.0, 24_000), 24_000, id="a"), work_item(noise(0.5, 24_000), 24_000, id="b")]
    rows = Quantize().process(items, backends_with(codec=("mini", CountingCodec())))
    assert to_table(CodesRow, rows).num_rows == 2
    assert [(row.segment_id, row.num_frames, row.codec) for row in rows] == [
        ("a", 75, "counting@0"),
        ("b", 38, "counting@0"),
    ]
    assert rows[0].q0 == list(range(75)) and rows[0].q7 == list(range(7, 82))


def test_columns_of_missing_codebooks_are_null():
    (row,) = Quantize().process(
        [work_item(noise(1.0, 24_000), 24_000)], backends_with(codec=("mini", CountingCodec(4)))
    )
    assert row.q3 is not None and row.q4 is None and row.q7 is None


def test_silence_has_no_codes_and_leaves_the_others_in_place():
    items = [
        work_item(silence(1.0, 24_000), 24_000, id="quiet"),
        work_item(noise(1.0, 24_000), 24_000, id="loud"),
    ]
    quiet, loud = Quantize().process(items, backends_with(codec=("mini", CountingCodec())))
    assert (quiet.segment_id, quiet.drop_reason, quiet.q0, quiet.num_frames) == ("quiet", "silent", None, 0)
    assert (loud.segment_id, loud.drop_reason, loud.num_frames) == ("loud", None, 75)


def test_a_codec_of_another_rate_is_refused_with_the_option_to_set():
    with pytest.raises(ConfigurationError, match="set sample_rate of quantize"):
        Quantize().process([], backends_with(codec=("mini", CountingCodec(sample_rate=44_100))))


def test_voices_keep_the_order_of_their_segments_and_short_ones_are_dropped():
    items = [
        work_item(np.full(16_000, 0.3, np.float32), id="a"),
        work_item(np.full(1_000, 0.5, np.float32), id="b"),
        work_item(np.full(8_000, 0.7, np.float32), id="c"),
    ]
    rows = Speakers().process(items, backends_with(speaker=("resemblyzer", FirstSampleVoice())))
    assert to_table(SpeakerRow, rows).num_rows == 3
    assert [row.drop_reason for row in rows] == [None, "too_short", None]
    assert [np.argmax(row.embedding) for row in (rows[0], rows[2])] == [3, 7]


def test_quality_joins_opinions_with_measures_at_the_recordings_own_rate():
    items = [work_item(noise(1.0, 24_000), 24_000, id="a"), work_item(silence(1.0, 24_000), 24_000, id="b")]
    heard, silent = Quality().process(items, backends_with(quality=("dnsmos", Critic())))
    assert to_table(QualityRow, [heard, silent]).num_rows == 2
    assert heard.dnsmos_ovrl == 16_000 and heard.distillmos is None
    assert heard.bandwidth > 11_000
    assert (silent.drop_reason, silent.dnsmos_ovrl) == ("silent", None)


def test_quality_without_scorers_is_arithmetic_only():
    (row,) = Quality(scorers=()).process([work_item(noise(1.0))], backends_with())
    assert row.loudness == pytest.approx(-20, abs=0.5) and row.dnsmos_ovrl is None
