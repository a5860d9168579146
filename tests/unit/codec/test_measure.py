from types import SimpleNamespace

import numpy as np
import pytest

from valle.audio import Audio, write_audio
from valle.codec.measure import HeldOutClip, measure_speech, measure_speed, measure_use, read_held_out
from warehouse.errors import ManifestError


@pytest.fixture
def corpus(tmp_path):
    lines = ["id\tsplit\tfile\tduration_s\tnative_sr\ttext"]
    for index, (split, seconds, rate) in enumerate(
        [
            ("main", 1, 24_000),
            ("heldout", 1, 24_000),
            ("heldout", 2, 16_000),
            ("heldout", 1, 8_000),
            ("heldout", 9, 24_000),
        ]
    ):
        write_audio(tmp_path / f"{index}.wav", Audio(np.full(seconds * 24_000, 0.1, np.float32), 24_000))
        lines.append(f"{index}\t{split}\t{index}.wav\t{seconds}\t{rate}\tclip {index}")
    (tmp_path / "corpus.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


class Judges:
    """Stands in for the models: hears what it is told to, one dimension of voice, a fixed opinion."""

    def __init__(self, texts):
        self.texts = texts

    def transcriber(self, name):
        return SimpleNamespace(transcribe=lambda waveforms, *_, **__: [SimpleNamespace(text=t) for t in self.texts])

    def speaker_encoder(self, name):
        return SimpleNamespace(embed=lambda waveforms: [np.array([1, w[0]]) / np.hypot(1, w[0]) for w in waveforms])

    def quality_scorer(self, name):
        return SimpleNamespace(score=lambda waveforms: [{"distillmos": float(w[1])} for w in waveforms])


def test_only_short_wideband_clips_of_held_out_speakers_are_read(corpus):
    clips = read_held_out(corpus, 24_000, num_clips=5, longest=3.0)
    assert [clip.text for clip in clips] == ["clip 1", "clip 2"]
    assert [len(clip.samples) for clip in clips] == [24_000, 48_000]
    assert len(read_held_out(corpus, 24_000, num_clips=1, longest=3.0)) == 1
    with pytest.raises(ManifestError, match="heldout"):
        read_held_out(corpus, 24_000, num_clips=5, longest=0.5)


def test_scores_are_word_errors_mean_opinion_and_cosine_to_the_originals():
    clips = [HeldOutClip(np.array([1.0, 0], np.float32), "one two three four"), HeldOutClip(np.zeros(2), "five six")]
    waveforms = [np.array([1.0, 3.0], np.float32), np.array([1.0, 2.0], np.float32)]
    judges = Judges(["One too three four.", "a b c d e f g"])
    quality = measure_speech(waveforms, clips, sample_rate=16_000, backends=judges, asr="any")
    assert quality.word_error_rate == pytest.approx(100 * (1 + 2) / 6)
    assert quality.distillmos == 2.5
    assert quality.cosine == pytest.approx((1 + np.sqrt(0.5)) / 2)


def test_use_counts_entries_and_their_entropy():
    codes = [np.array([[0, 0], [1, 2]], np.int16), np.array([[0, 0], [3, 4]], np.int16)]
    one, four = measure_use(codes, 8)
    assert (one.num_entries, one.entropy) == (1, 0)
    assert (four.num_entries, four.entropy) == (4, 2)


def test_speed_is_audio_per_processor_time(full_size_codec):
    speed = measure_speed(full_size_codec, [HeldOutClip(np.zeros(24_000, np.float32), "")])
    assert 0 < speed["both"] < min(speed["encode"], speed["decode"])
