import dataclasses

import numpy as np
import pytest

from manifests.demo.clips import demo_clips
from tests.unit.synthesis.toy import ToyEncoder, ToyTranscriber, untrained_synthesizer
from tests.unit.training.toy import SPEC, codes_for
from valle.audio import Audio, AudioLocation, read_audio
from valle.backends.asr import open_transcriber
from valle.backends.speaker import open_speaker_encoder
from valle.synthesis.best_of import Candidate, CandidateScore, choose, score_candidates, speak_best_of
from valle.synthesis.decoding.seeds import candidate_seed
from valle.synthesis.options import BeamOptions, BestOfOptions, MaskedOptions, SamplingOptions
from valle.synthesis.synthesizer import Prompt, Request, Speech
from warehouse.errors import ConfigurationError

OPTIONS = BestOfOptions(count=4)
PROMPT = Prompt(codes_for("abch", 0), tuple("abch"))
NOTHING = Audio(np.zeros(0, np.float32), SPEC.sample_rate)


def recorded(clip):
    return read_audio(AudioLocation(str(clip.path)))


def of_letters(letters, speaker=0):
    """Toy speech of `letters`."""
    base = codes_for(letters, speaker)[0].astype(np.float32) / 32
    return Audio(np.repeat(base, SPEC.hop_length), SPEC.sample_rate)


def scores(candidates, text, prompt=None, options=OPTIONS, **models):
    given = {"transcriber": ToyTranscriber(), "encoder": ToyEncoder()} | models
    return score_candidates(candidates, text, prompt, options=options, **given)


def test_real_models_choose_the_candidate_with_the_text_in_the_voice_of_the_prompt():
    sentences = [clip for clip in demo_clips() if clip.kind == "sentence"]
    other = next(clip for clip in sentences if clip.id == "am_echo_s113")  # the same words by somebody else
    first = next(clip for clip in sentences if clip.speaker == "af_heart" and clip.text == other.text)
    second, prompt = [clip for clip in sentences if clip.speaker == "af_heart" and clip != first][:2]
    candidates = [recorded(second), recorded(other), recorded(first), Audio(np.zeros(0, np.float32), 24_000)]
    wrong, stranger, right, silent = score_candidates(
        candidates,
        first.text,
        recorded(prompt),
        options=OPTIONS,
        transcriber=open_transcriber("tiny.en"),
        encoder=open_speaker_encoder("resemblyzer"),
    )
    assert right.word_error_rate < 0.2 < 0.5 < wrong.word_error_rate
    assert stranger.word_error_rate < 0.5
    assert right.similarity > 0.75 > stranger.similarity
    assert right.total > max(wrong.total, stranger.total)
    assert (silent.transcription, silent.word_error_rate, silent.character_error_rate, silent.similarity) == (
        "",
        1.0,
        1.0,
        -1.0,
    )


def test_the_score_is_the_weighted_cosine_less_the_weighted_error_rates():
    candidates = [of_letters("abc defh"), of_letters("abc gggg"), of_letters("habc", 1)]
    voice = of_letters("abcd")
    options = BestOfOptions(count=3, word_weight=0.5, character_weight=2.0, similarity_weight=3.0)
    for audio, score in zip(candidates, scores(candidates, "Abc, defh!", voice, options), strict=True):
        cosine = float(np.dot(*ToyEncoder().embed([audio.samples, voice.samples])))
        assert score.similarity == pytest.approx(cosine, abs=1e-3)
        expected = 3 * score.similarity - 0.5 * score.word_error_rate - 2 * score.character_error_rate
        assert score.total == pytest.approx(expected)
    errors = [(one.word_error_rate, one.character_error_rate) for one in scores(candidates, "Abc, defh!", voice)]
    assert errors == [(0, 0), (0.5, 0.5), (1, 6 / 8)]


def test_what_is_not_measured_is_none_and_does_not_count():
    candidates = [of_letters("abc"), of_letters("abd")]
    without_prompt = scores(candidates, "abc")
    assert [one.similarity for one in without_prompt] == [None, None]
    assert [one.total for one in without_prompt] == pytest.approx([0, -1 - 1 / 3])
    without_words = scores(candidates, "— !", of_letters("abc"))
    assert [one.word_error_rate for one in without_words] == [None, None]
    assert [one.total for one in without_words] == [one.similarity for one in without_words]
    deaf = scores(candidates, "abc", of_letters("abc"), transcriber=None)
    assert [(one.transcription, one.total == one.similarity) for one in deaf] == [(None, True)] * 2


def test_a_voice_without_any_sound_is_the_worst():
    class Strict(ToyEncoder):
        def embed(self, waveforms):
            return [
                np.full(3, np.nan, np.float32) if not wave.any() else one
                for wave, one in zip(waveforms, super().embed(waveforms), strict=True)
            ]

    hush = Audio(np.zeros(160, np.float32), SPEC.sample_rate)
    assert [one.similarity for one in scores([hush, NOTHING], "abc", of_letters("abc"), encoder=Strict())] == [
        -1.0,
        -1.0,
    ]


def candidate(total, *, frames=3, is_complete=True):
    codes = np.zeros((8, frames), np.int16)
    score = CandidateScore(
        transcription="", word_error_rate=1.0, character_error_rate=1.0, similarity=None, total=total
    )
    return Candidate(Speech(codes, NOTHING, is_complete, 0.0), 0, score)


def test_the_best_score_wins_and_speech_goes_before_silence():
    assert choose([candidate(0.1), candidate(0.7), candidate(0.3)]) == 1
    assert choose([candidate(-1.0, frames=0), candidate(-9.0)]) == 1
    assert choose([candidate(0.5, is_complete=False), candidate(0.5), candidate(0.5)]) == 1
    assert choose([candidate(0.5), candidate(0.5)]) == 0


@pytest.fixture(scope="module")
def synthesizer():
    return untrained_synthesizer(stop=1.5)


def request_of(prompt=PROMPT, **sampling):
    return Request(tuple("abcd"), prompt, options=SamplingOptions(**{"max_seconds": 2, "seed": 3} | sampling))


def test_candidates_are_what_each_seed_gives_alone_and_the_first_is_that_of_the_request(synthesizer):
    request = request_of()
    found = speak_best_of(synthesizer, request, "abcd", options=OPTIONS)
    seeds = [candidate_seed(3, index) for index in range(4)]
    assert [one.seed for one in found.candidates] == seeds
    assert seeds[0] == 3 and len(set(seeds)) == 4
    for one in found.candidates:
        own = dataclasses.replace(request, options=request.options.model_copy(update={"seed": one.seed}))
        np.testing.assert_array_equal(one.speech.codes, synthesizer.speak_many([own])[0].codes)
    assert found.chosen == choose(found.candidates)
    assert found.best is found.candidates[found.chosen]
    assert len({one.score.total for one in found.candidates}) > 1


def test_weights_change_the_choice(synthesizer):
    def chosen(**weights):
        options = BestOfOptions(count=6, **weights)
        return speak_best_of(synthesizer, request_of(seed=1), "abcd", options=options)

    by_voice = chosen(word_weight=0, character_weight=0)
    assert by_voice.best.score.similarity == max(one.score.similarity for one in by_voice.candidates)
    assert by_voice.best.score.transcription is None
    by_words = chosen(similarity_weight=0)
    assert by_words.best.score.similarity is None
    spoken = [one for one in by_words.candidates if one.speech.codes.shape[1]]
    lowest = min(one.score.word_error_rate + one.score.character_error_rate for one in spoken)
    assert by_words.best.score.total == pytest.approx(-lowest)
    assert by_voice.chosen != by_words.chosen


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0},
        {"beam": BeamOptions(width=2)},
        {"decoding": "nar-len", "temperature": 0, "masked": MaskedOptions(steps=2)},
    ],
)
def test_candidates_that_would_all_be_the_same_are_refused(synthesizer, sampling):
    with pytest.raises(ConfigurationError, match="All candidates would be the same"):
        speak_best_of(synthesizer, request_of(**sampling), "abcd", options=OPTIONS)
    found = speak_best_of(
        synthesizer,
        request_of(**sampling, nar_temperature=1.5, max_seconds=0.1, suppressed_codes=(SPEC.codebook_size,)),
        "abcd",
        options=OPTIONS,
    )
    spoken = {one.speech.codes.tobytes() for one in found.candidates}
    assert len(spoken) > 1


def test_choices_that_nothing_decides_are_refused(synthesizer):
    deaf = BestOfOptions(count=2, word_weight=0, character_weight=0)
    with pytest.raises(ConfigurationError, match="Nothing tells the candidates apart"):
        speak_best_of(synthesizer, request_of(prompt=None), "abcd", options=deaf)
    with pytest.raises(ConfigurationError, match="Nothing tells the candidates apart"):
        speak_best_of(synthesizer, request_of(), "abcd", options=deaf.model_copy(update={"similarity_weight": 0}))


def test_an_english_asr_model_is_refused_for_another_language():
    with pytest.raises(
        ConfigurationError, match=r"supports English only; set best_of\.transcriber to one that supports de"
    ):
        scores([of_letters("abc")], "abc", language="de")
