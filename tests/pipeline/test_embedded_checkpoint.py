"""The checkpoint that comes with the package, as a user meets it: `valle speak`, transcribed by an ASR model."""

import pytest
import soundfile

from manifests.demo.clips import HELD_OUT, demo_clips
from valle.audio import AudioLocation, read_audio
from valle.backends.registry import Backends
from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.runs import EMBEDDED, find_run, latest_checkpoint
from valle.cli import main
from valle.codec import open_codec
from valle.text.errors import count_word_errors
from valle.text.normalise import get_normaliser

TEXTS = ("Six four three five.", "Seven zero nine four.", "Three one four one five nine.", "Eight two six.")


@pytest.fixture
def checkpoint(tmp_path):
    return latest_checkpoint(find_run(tmp_path, EMBEDDED))


def test_it_speaks_where_there_is_no_run_and_is_understood(tmp_path):
    """Three words of five at least: speech differs with the arithmetic of a machine; measured: nine in ten."""
    voices = [clip.path for clip in demo_clips() if clip.split == HELD_OUT and 2.5 <= clip.duration <= 3.5]
    normalise, tiny = get_normaliser(), Backends().transcriber("tiny.en")
    errors = words = 0
    for text, voice in zip(TEXTS, voices, strict=False):
        out = tmp_path / "speech.wav"
        asked = ["speak", text, "--prompt", str(voice), "--out", str(out), "--data", str(tmp_path)]
        assert main(asked) == 0
        assert soundfile.info(out).samplerate == 24_000
        [heard] = tiny.transcribe([read_audio(AudioLocation(str(out)), 16_000).samples], language="en")
        count = count_word_errors(normalise(text), normalise(heard.text))
        errors, words = errors + count.errors, words + count.length
    assert errors / words < 0.4


def test_its_files_are_small_and_name_no_place_of_the_machine_that_made_them(checkpoint):
    assert sum(file.stat().st_size for file in checkpoint.iterdir()) < 24e6
    options = read_card(checkpoint).options
    assert not [name for name, value in options.items() if isinstance(value, str) and value.startswith("/")]


def test_it_was_trained_on_codes_of_the_codec_that_comes_along(checkpoint):
    assert read_card(checkpoint).codec == open_codec("mini").spec
