"""The mark of synthetic speech, by the real Perth."""

import gc
import io

import numpy as np
import pytest
import soundfile
import torch

from manifests.demo.clips import demo_clips
from valle.audio import Audio, AudioLocation, read_audio, resample, write_audio
from valle.cli.app import build_app
from valle.cli.arguments import run_command
from valle.synthesis.streaming.encoder import AudioEncoder
from valle.watermark import Watermark, detect, mark, open_watermark
from warehouse.errors import ConfigurationError

RATE = 24_000


@pytest.fixture(scope="module")
def speech():
    clips = [clip.path for clip in list(demo_clips())[::120]][:2]
    return Audio(np.concatenate([read_audio(AudioLocation(str(path)), RATE).samples for path in clips]), RATE)


def streamed(samples, size):
    mark = open_watermark(RATE)
    return [*(mark.push(samples[first : first + size]) for first in range(0, len(samples), size)), mark.finish()]


def test_a_mark_is_found_after_mp3_resampling_and_a_cut_and_nowhere_else(speech):
    marked = mark(speech)
    assert len(marked.samples) == len(speech.samples)
    assert detect(speech).confidence < 0.2
    assert not detect(speech).is_marked
    encoder = AudioEncoder("mp3", RATE)
    mp3 = encoder.push(marked.samples) + encoder.finish()
    decoded, _ = soundfile.read(io.BytesIO(mp3), dtype="float32")
    changed = {
        "nothing": marked,
        "mp3": Audio(decoded, RATE),
        "16 kHz": Audio(resample(marked.samples, RATE, 16_000), 16_000),
        "cut": Audio(marked.samples[RATE // 3 : RATE // 3 + RATE], RATE),
    }
    assert {name: detect(audio).confidence > 0.9 for name, audio in changed.items()} == dict.fromkeys(changed, True)


@pytest.mark.parametrize("size", [1_000, 9_000])
def test_a_streamed_mark_has_every_sample_and_is_found(speech, size):
    pieces = streamed(speech.samples, size)
    assert sum(map(len, pieces)) == len(speech.samples)
    assert detect(Audio(np.concatenate(pieces), RATE)).confidence > 0.9


class Louder:
    """A marker whose mark depends on the piece, as Perth's does."""

    def apply_watermark(self, signal, sample_rate):
        return signal * (1 + 0.1 * np.abs(signal).max())

    def get_watermark(self, wm_signal, sample_rate, round):
        return 1.0


def test_pieces_of_a_stream_join_without_a_click():
    tone = (np.sin(np.arange(2 * RATE) / 40) * np.linspace(0.1, 0.9, 2 * RATE)).astype(np.float32)
    mark = Watermark(Louder(), RATE)
    joined = np.concatenate([*(mark.push(tone[first : first + 3_000]) for first in range(0, len(tone), 3_000))])
    assert np.abs(np.diff(joined)).max() < 1.3 * np.abs(np.diff(tone)).max()


def test_silence_and_shortest_speech_pass():
    for samples in (np.zeros(RATE, np.float32), np.full(100, 0.1, np.float32), np.zeros(0, np.float32)):
        np.testing.assert_array_equal(mark(Audio(samples, RATE)).samples, samples)
    assert detect(Audio(np.zeros(RATE, np.float32), RATE)).confidence == 0


def test_the_commands_add_and_find_a_mark(speech, tmp_path, capsys):
    plain, marked = tmp_path / "plain.wav", tmp_path / "marked.flac"
    write_audio(plain, speech)
    assert run_command(build_app().meta, ["watermark", "add", str(plain), "--out", str(marked)]) == 0
    assert run_command(build_app().meta, ["watermark", "detect", str(marked)]) == 0
    assert run_command(build_app().meta, ["watermark", "detect", str(marked), str(plain)]) == 1
    assert "plain.wav: no mark" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="must end in"):
        run_command(build_app().meta, ["watermark", "add", str(plain), "--out", "x.mp3"])


def test_nothing_of_a_marked_piece_is_kept(speech):
    """A server that speaks for days would keep megabytes of each text: Perth holds what gradients need."""
    piece = Audio(speech.samples[:RATE], RATE)

    def tensors():
        gc.collect()
        return sum(type(one) is torch.Tensor for one in gc.get_objects())

    mark(piece)
    detect(piece)
    before = tensors()
    for _ in range(4):
        mark(piece)
        detect(piece)
    assert tensors() <= before
