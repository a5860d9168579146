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
from valle.tasks.editing import EDITING
from valle.tasks.registry import learnt_tasks
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


@pytest.mark.long
def test_words_that_it_replaces_in_a_recording_are_heard_and_the_others_stay(tmp_path, checkpoint):
    """A third of the new words at least, and two thirds of the others, in recordings of three digits."""
    method = "task" if EDITING.name in learnt_tasks(read_card(checkpoint).options) else "masked"
    clips = [clip for clip in demo_clips() if clip.split == HELD_OUT and len(clip.text.split()) == 3][:5]
    normalise, tiny = get_normaliser(), Backends().transcriber("tiny.en")
    new_words = kept_words = 0
    for clip in clips:
        first, old, last = normalise(clip.text.rstrip(".").lower()).split()
        new = "eight" if old in ("one", "four") else "four"
        out = tmp_path / "edited.wav"
        options = ["--text", clip.text, "--method", method, "--out", str(out), "--data", str(tmp_path)]
        assert main(["edit", str(clip.path), "--replace", f"{old}={new}", *options]) == 0
        [heard] = tiny.transcribe([read_audio(AudioLocation(str(out)), 16_000).samples], language="en")
        words = normalise(heard.text).split()
        new_words += new in words
        kept_words += (first in words) + (last in words)
    assert new_words >= len(clips) / 3
    assert kept_words >= 2 * len(clips) * 2 / 3


def test_its_files_are_small_and_name_no_place_of_the_machine_that_made_them(checkpoint):
    assert sum(file.stat().st_size for file in checkpoint.iterdir()) < 24e6
    options = read_card(checkpoint).options
    assert not [name for name, value in options.items() if isinstance(value, str) and value.startswith("/")]


def test_it_was_trained_on_codes_of_the_codec_that_comes_along(checkpoint):
    assert read_card(checkpoint).codec == open_codec("mini").spec
