import dataclasses
import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.unit.backends.clips import sentences
from valle.backends import weights
from valle.backends.asr import (
    FasterWhisper,
    _Form,
    _is_clear,
    _max_tokens,
    open_transcriber,
    transcriber_revision,
)
from valle.backends.packing import PackedClip
from valle.backends.transcription import Transcription, compression_ratio
from valle.stages.rules.plausibility import disagreement
from warehouse.errors import DependencyError


@pytest.fixture(scope="module")
def tiny() -> FasterWhisper:
    model = open_transcriber("tiny.en")
    assert isinstance(model, FasterWhisper)
    return model


@pytest.fixture(scope="module")
def clips():
    return sentences(3)


@pytest.fixture(scope="module")
def transcriptions(tiny, clips):
    return tiny.transcribe([clip.samples for clip in clips], "en")


def test_clips_of_different_lengths_are_transcribed_in_order(clips, transcriptions):
    assert len({len(clip.samples) for clip in clips}) == 3
    assert all(disagreement(clip.text, one.text, "en") <= 0.25 for clip, one in zip(clips, transcriptions, strict=True))


def test_confidences_are_kept(transcriptions):
    for one in transcriptions:
        assert one.language == "en" and one.language_probability is None
        assert -1 < one.average_logprob < 0
        assert 0 <= one.no_speech_probability < 0.5
        assert one.compression_ratio == pytest.approx(compression_ratio(one.text))


def test_a_batch_equals_single_clips_and_is_deterministic(tiny, clips, transcriptions):
    (alone,) = tiny.transcribe([clips[1].samples])
    assert alone.text == transcriptions[1].text
    assert alone.average_logprob == pytest.approx(transcriptions[1].average_logprob, abs=1e-3)


def test_careful_decoding_gives_the_same_text_of_clear_speech(tiny, clips):
    (careful,) = tiny.transcribe([clips[0].samples], careful=True)
    assert disagreement(clips[0].text, careful.text, "en") <= 0.25
    assert -1 < careful.average_logprob < 0


def test_silence_and_noise_have_low_confidence(tiny):
    noise = (0.05 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    for one in tiny.transcribe([np.zeros(16_000, np.float32), noise, np.zeros(0, np.float32)]):
        assert one.no_speech_probability > 0.6 or one.average_logprob < -1


def test_no_clips_give_no_texts(tiny):
    assert tiny.transcribe([]) == []


def test_a_decode_that_stops_long_before_the_clip_is_noticed():
    assert FasterWhisper._stopped_early([0, 100], 14.0)
    assert not FasterWhisper._stopped_early([0, 600], 14.0)
    assert not FasterWhisper._stopped_early([], 14.0)


def test_packed_clips_keep_their_own_texts(tiny):
    short = [clip for clip in sentences(40) if len(clip.samples) < 3 * 16_000][:4]
    waveforms = [clip.samples for clip in short]
    encodes = []
    encode = tiny._model.encode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny._model, "encode", lambda features: encodes.append(len(features)) or encode(features))
        packed = tiny.transcribe_packed([*waveforms, np.zeros(8_000, np.float32)], "en")
    assert len(packed) == 5 and len(waveforms) == 4
    for clip, one in zip(short, packed, strict=False):
        assert disagreement(clip.text, one.text, "en") <= 0.25
    assert sum(encodes) <= 3, "one window, silence, and the clip without speech alone"


def packed_with(monkeypatch, tiny, windows):
    """Transcribe two packed clips whose windows are decoded as `windows`; "alone" is the text of a clip alone."""
    rounds = iter(windows)
    calls = []

    def decode(_self, window, _waveforms, _language):
        calls.append(sorted(place.index for place in window))
        texts = next(rounds)
        for place in window:
            text, logprob = texts[place.index]
            yield place, (Transcription(text, "en", None, logprob, 0.0, 1.0), [place.start, place.start + 100])

    alone = Transcription("alone", "en", None, -0.1, 0.0, 1.0)
    monkeypatch.setattr(FasterWhisper, "_decode_window", decode)
    monkeypatch.setattr(FasterWhisper, "transcribe", lambda _self, waveforms, _language: [alone for _ in waveforms])
    texts = [one.text for one in tiny.transcribe_packed([np.ones(32_000, np.float32)] * 3, "en")]
    assert next(rounds, None) is None
    return texts, calls


def test_clips_that_are_not_clear_are_packed_again_and_used_where_both_windows_agree(tiny, monkeypatch):
    first = {0: ("sure", -0.2), 1: ("4-5 six", -0.9), 2: ("four", -0.9)}
    second = {1: ("45 Six.", -0.8), 2: ("for", -0.8)}
    texts, calls = packed_with(monkeypatch, tiny, [first, second])
    assert texts == ["sure", "45 Six.", "alone"]
    assert calls == [[0, 1, 2], [1, 2]]


def test_a_clip_without_words_or_with_a_loop_is_transcribed_alone_though_windows_agree(tiny, monkeypatch):
    rounds = [{0: ("sure", -0.2), 1: (".", -0.1), 2: ("", -0.1)}, {1: (".", -0.1), 2: ("", -0.1)}]
    texts, _ = packed_with(monkeypatch, tiny, rounds)
    assert texts == ["sure", "alone", "alone"]


def test_a_clip_whose_language_is_to_be_detected_is_not_packed(tiny, clips, monkeypatch):
    monkeypatch.setattr(FasterWhisper, "is_multilingual", True)
    monkeypatch.setattr(FasterWhisper, "_transcribe_windows", lambda *_: pytest.fail("packed"))
    monkeypatch.setattr(FasterWhisper, "transcribe", lambda _self, waveforms, language: [(language, len(waveforms))])
    assert tiny.transcribe_packed([clips[0].samples]) == [(None, 1)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"average_logprob": -0.71}, False),
        ({"text": " . "}, False),
        ({"compression_ratio": 2.5}, False),
        ({"language_probability": 0.4}, False),
    ],
)
def test_one_window_is_enough_only_where_the_text_is_clear(changes, expected):
    plain = Transcription("and on", "en", None, -0.2, 0.0, 1.0)
    place = PackedClip(0, start=25, num_frames=300, gap=50)
    assert _is_clear(place, dataclasses.replace(plain, **changes), [25, 325]) == expected


@pytest.mark.parametrize(("last", "expected"), [(350, True), (351, False), (175, True), (174, False)])
def test_one_window_is_enough_only_where_its_times_end_with_the_clip(last, expected):
    place = PackedClip(0, start=25, num_frames=300, gap=50)
    assert _is_clear(place, Transcription("and on", "en", None, -0.2, 0.0, 1.0), [25, last]) == expected


def test_a_repetitive_transcription_is_decoded_again(tiny, clips):
    looped = "and on " * 40
    circles = Transcription(looped, "en", None, -0.2, 0.0, compression_ratio(looped))
    again = tiny._retry_if_repetitive(circles, clips[0].samples, _Form("en"))
    assert disagreement(clips[0].text, again.text, "en") <= 0.25
    sound = Transcription("and on", "en", None, -0.2, 0.0, compression_ratio("and on"))
    assert tiny._retry_if_repetitive(sound, clips[0].samples, _Form("en")) is sound


@pytest.mark.parametrize("careful", [pytest.param(False, marks=pytest.mark.long), True])
def test_repetitive_speech_keeps_its_repetitions_within_the_token_limit(tiny, clips, careful):
    twelve_times = np.tile(clips[1].samples[16_000:24_000], 12)  # "will use", for 6 s
    without_end = tiny._transcribe_one(twelve_times, _Form("en"), beam_size=5 if careful else 1)
    (transcription,) = tiny.transcribe([twelve_times], careful=careful)
    assert len(transcription.text) <= len(without_end.text)
    tokens = tiny._model.hf_tokenizer.encode(transcription.text, add_special_tokens=False).ids
    assert len(tokens) <= _max_tokens(twelve_times) == 80
    [(_, times)] = Counter(transcription.text.lower().split()).most_common(1)
    assert times >= 5


def test_a_window_can_have_as_many_tokens_as_its_seconds_hold():
    assert [_max_tokens(np.zeros(seconds * 16_000)) for seconds in (1, 10, 30, 300)] == [20, 128, 224, 224]


def test_threads_transcribe_concurrently(tiny, clips, transcriptions):
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda clip: tiny.transcribe([clip.samples], "en")[0].text, clips))
    assert answers == [one.text for one in transcriptions]
    assert tiny._model.model.num_workers > 1, "or they would wait for each other"


def test_text_that_repeats_itself_compresses_well():
    assert compression_ratio("") == 0
    assert compression_ratio("the quick brown fox jumps over the lazy dog") < 1.2
    assert compression_ratio("and on " * 40) > 2.4


def test_a_revision_names_the_weights_and_changes_with_them(tmp_path: Path):
    (tmp_path / "model.bin").write_bytes(b"one")
    first = transcriber_revision(str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"other")
    assert first != transcriber_revision(str(tmp_path))
    assert first.startswith(f"{tmp_path.name}@")


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(DependencyError, match=r"model\.bin"):
        open_transcriber(str(tmp_path))


def test_an_unknown_name_is_refused():
    with pytest.raises(DependencyError, match="unknown ASR model 'nonsense'"):
        transcriber_revision("nonsense")


def test_base_needs_its_two_wheels_only_and_its_revision_no_joining(tmp_path: Path, monkeypatch):
    first, last = tmp_path / "one" / "data", tmp_path / "two" / "data"
    for number, folder in enumerate((first, last), start=1):
        folder.mkdir(parents=True)
        (folder / f"model.bin.part{number}").write_bytes(bytes([number]) * (1 << 20))
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (first / name).write_text("{}")
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(
        weights, "package_directory", lambda package: tmp_path / ("one" if "part1" in package else "two")
    )
    with pytest.raises(DependencyError, match="known hash"):
        weights.base_directory()
    assert list((tmp_path / "models").iterdir()) == []
    content = b"\x01" * (1 << 20) + b"\x02" * (1 << 20)
    monkeypatch.setattr(weights, "BASE_SHA256", hashlib.sha256(content).hexdigest())
    joined = weights.base_directory()
    assert (joined / "model.bin").read_bytes() == content
    assert weights.file_revision(joined / "model.bin") == weights.base_revision()
    assert weights.base_directory() == joined
