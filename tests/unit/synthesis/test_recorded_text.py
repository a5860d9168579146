"""The text of a recording: given, transcribed by a real ASR model, or none, and its language."""

from dataclasses import replace

import numpy as np
import pytest

from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, read_audio
from valle.backends.registry import Backends
from valle.backends.transcription import Transcription
from valle.synthesis.texts.recorded_text import RecordedText, TextOptions, _is_silence, open_asr, read_text, share_out
from valle.text.normalise import normalise
from warehouse.errors import ConfigurationError, DependencyError

RATE = 16_000


@pytest.fixture(scope="module")
def backends():
    return Backends()


@pytest.fixture(scope="module")
def clip():
    found = next(clip for clip in demo_clips() if clip.kind == "sentence")
    return read_audio(AudioLocation(str(found.path)), RATE).samples, found.text


def test_a_recording_without_a_text_is_transcribed(backends, clip):
    samples, text = clip
    found = read_text(backends, [samples], RATE, TextOptions())
    assert normalise(found.text, "en") == normalise(text, "en")
    assert found.is_transcribed and found.note == f"The recording was transcribed as {found.text!r}."


def test_numbers_are_written_as_they_are_spoken(backends):
    """The plain transcription of these digits is "956-0", whose phonemes are those of nine hundred."""
    digits = next(clip for clip in demo_clips() if clip.text == "Nine five six zero.")
    samples = read_audio(AudioLocation(str(digits.path)), RATE).samples
    assert read_text(backends, [samples], RATE, TextOptions()).text.lower().strip(".") == "nine five six zero"


def test_the_language_of_a_recording_is_detected_by_a_multilingual_model(backends, clip):
    samples, text = clip
    found = read_text(backends, [samples], RATE, TextOptions(language="auto"))
    assert (found.language, normalise(found.text, "en")) == ("en", normalise(text, "en"))
    assert found.note == f"The recording was transcribed in 'en' as {found.text!r}."


def test_a_long_recording_has_a_text_for_each_piece(backends, clip):
    samples, text = clip
    found = read_text(backends, [samples, samples], RATE, TextOptions(text=f"{text} {text.upper()}"))
    assert found.pieces == (text, text.upper())
    assert not found.is_transcribed and found.note == ""


def test_a_given_text_and_no_text_need_no_asr_model():
    class NoModels:
        def transcriber(self, name):
            pytest.fail("a model was opened")

    pieces = [np.zeros(8, np.float32)]
    given = read_text(
        NoModels(), pieces, RATE, TextOptions(text=" Guten  Morgen, wie geht es Ihnen? ", language="auto")
    )
    assert (given.text, given.language) == ("Guten Morgen, wie geht es Ihnen?", "de")
    assert given.note == "The language of the recording is 'de'."
    none = read_text(NoModels(), pieces * 2, RATE, TextOptions(transcribe=False))
    assert none == RecordedText(("", ""), "en") and none.note == "The recording is used without words."
    # Which words belong to which piece is unknown without a transcription.
    assert read_text(NoModels(), pieces * 2, RATE, TextOptions(text="a b", transcribe=False)).text == ""


def test_a_missing_or_english_asr_model_is_one_sentence_that_names_the_ways_out(backends, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        DependencyError, match=r"cannot be transcribed: the ASR model large-v1 is not .*--no-transcribe"
    ):
        read_text(backends, [np.zeros(RATE, np.float32)], RATE, TextOptions(asr="large-v1"))
    with pytest.raises(ConfigurationError, match=r"tiny\.en transcribes English only; set --asr base"):
        open_asr(backends, "tiny.en", "de")
    with pytest.raises(ConfigurationError, match="transcribes English only"):
        open_asr(backends, "tiny.en", "auto")


def test_words_that_an_asr_model_invents_for_silence_are_none():
    clear = Transcription("One two.", "en", None, -0.2, 0.1, 1.0)
    assert not _is_silence(clear) and not _is_silence(replace(clear, average_logprob=-1.5))
    assert _is_silence(replace(clear, average_logprob=-1.5, no_speech_probability=0.9))
    assert _is_silence(replace(clear, compression_ratio=3.0))


@pytest.mark.parametrize(
    ("text", "found", "pieces"),
    [
        ("one two three four", ["One, two!", "three four"], ("one two", "three four")),
        ("one two three four", ["one too", "three far away"], ("one two", "three four")),
        ("one two three four", ["one", "four"], ("one two three", "four")),
        ("one two three", ["", "one two", "three"], ("", "one two", "three")),
        ("one two", ["", ""], ("one two", "")),
        ("one two", ["three four five", "one two"], ("", "one two")),
    ],
)
def test_a_text_is_shared_out_by_the_words_of_the_transcriptions(text, found, pieces):
    assert share_out(text, found) == pieces


def test_a_text_without_spaces_is_shared_out_by_characters():
    assert share_out("今天天气很好我们走吧", ["今天天气很好", "我们走巴"], "zh") == ("今天天气很好", "我们走吧")
