import dataclasses

import numpy as np
import pytest

from manifests.demo.clips import demo_clips
from tests.unit.synthesis.toy import ToyEncoder, ToyTranscriber, untrained_synthesizer
from tests.unit.training.toy import SPEC, codes_for
from valle.audio import Audio, AudioLocation, read_audio
from valle.backends.asr import open_transcriber
from valle.backends.speaker import open_speaker_encoder
from valle.synthesis.best_of import Opinion, Take, choose, judge_takes, speak_best
from valle.synthesis.decoding.seeds import take_seed
from valle.synthesis.options import BeamOptions, BestOfOptions, MaskedOptions, SamplingOptions
from valle.synthesis.synthesizer import Prompt, Request, Speech
from warehouse.errors import ConfigurationError

OPTIONS = BestOfOptions(count=4)
PROMPT = Prompt(codes_for("abch", 0), tuple("abch"))
NOTHING = Audio(np.zeros(0, np.float32), SPEC.sample_rate)


def recorded(clip):
    return read_audio(AudioLocation(str(clip.path)))


def of_letters(letters, speaker=0):
    """Toy speech that says `letters`."""
    base = codes_for(letters, speaker)[0].astype(np.float32) / 32
    return Audio(np.repeat(base, SPEC.hop_length), SPEC.sample_rate)


def opinions(takes, text, voice=None, options=OPTIONS, **judges):
    given = {"transcriber": ToyTranscriber(), "encoder": ToyEncoder()} | judges
    return judge_takes(takes, text, voice, options=options, **given)


def test_real_judges_choose_the_take_that_says_the_text_in_the_voice_of_the_prompt():
    sentences = [clip for clip in demo_clips() if clip.kind == "sentence"]
    other = next(clip for clip in sentences if clip.id == "am_echo_s113")  # the same words by somebody else
    first = next(clip for clip in sentences if clip.speaker == "af_heart" and clip.text == other.text)
    second, prompt = [clip for clip in sentences if clip.speaker == "af_heart" and clip != first][:2]
    takes = [recorded(second), recorded(other), recorded(first), Audio(np.zeros(0, np.float32), 24_000)]
    wrong, stranger, right, silent = judge_takes(
        takes,
        first.text,
        recorded(prompt),
        options=OPTIONS,
        transcriber=open_transcriber("tiny.en"),
        encoder=open_speaker_encoder("resemblyzer"),
    )
    assert right.word_error_rate < 0.2 < 0.5 < wrong.word_error_rate
    assert stranger.word_error_rate < 0.5
    assert right.voice > 0.75 > stranger.voice
    assert right.score > max(wrong.score, stranger.score)
    assert (silent.heard, silent.word_error_rate, silent.character_error_rate, silent.voice) == ("", 1.0, 1.0, -1.0)


def test_the_score_is_the_weighted_cosine_less_the_weighted_error_rates():
    takes = [of_letters("abc defh"), of_letters("abc gggg"), of_letters("habc", 1)]
    voice = of_letters("abcd")
    options = BestOfOptions(count=3, word_weight=0.5, character_weight=2.0, voice_weight=3.0)
    for take, opinion in zip(takes, opinions(takes, "Abc, defh!", voice, options), strict=True):
        cosine = float(np.dot(*ToyEncoder().embed([take.samples, voice.samples])))
        assert opinion.voice == pytest.approx(cosine, abs=1e-3)
        expected = 3 * opinion.voice - 0.5 * opinion.word_error_rate - 2 * opinion.character_error_rate
        assert opinion.score == pytest.approx(expected)
    errors = [(one.word_error_rate, one.character_error_rate) for one in opinions(takes, "Abc, defh!", voice)]
    assert errors == [(0, 0), (0.5, 0.5), (1, 6 / 8)]


def test_what_nobody_is_asked_about_is_unknown_and_does_not_count():
    takes = [of_letters("abc"), of_letters("abd")]
    without_prompt = opinions(takes, "abc")
    assert [one.voice for one in without_prompt] == [None, None]
    assert [one.score for one in without_prompt] == pytest.approx([0, -1 - 1 / 3])
    without_words = opinions(takes, "— !", of_letters("abc"))
    assert [one.word_error_rate for one in without_words] == [None, None]
    assert [one.score for one in without_words] == [one.voice for one in without_words]
    deaf = opinions(takes, "abc", of_letters("abc"), transcriber=None)
    assert [(one.heard, one.score == one.voice) for one in deaf] == [(None, True)] * 2


def test_a_voice_without_any_sound_is_the_worst():
    class Strict(ToyEncoder):
        def embed(self, waveforms):
            return [
                np.full(3, np.nan, np.float32) if not wave.any() else one
                for wave, one in zip(waveforms, super().embed(waveforms), strict=True)
            ]

    hush = Audio(np.zeros(160, np.float32), SPEC.sample_rate)
    assert [one.voice for one in opinions([hush, NOTHING], "abc", of_letters("abc"), encoder=Strict())] == [-1.0, -1.0]


def take(score, *, frames=3, is_complete=True):
    codes = np.zeros((8, frames), np.int16)
    opinion = Opinion(heard="", word_error_rate=1.0, character_error_rate=1.0, voice=None, score=score)
    return Take(Speech(codes, NOTHING, is_complete, 0.0), 0, opinion)


def test_the_best_score_wins_and_speech_goes_before_silence():
    assert choose([take(0.1), take(0.7), take(0.3)]) == 1
    assert choose([take(-1.0, frames=0), take(-9.0)]) == 1
    assert choose([take(0.5, is_complete=False), take(0.5), take(0.5)]) == 1
    assert choose([take(0.5), take(0.5)]) == 0


@pytest.fixture(scope="module")
def synthesizer():
    return untrained_synthesizer(stop=1.5)


def request_of(prompt=PROMPT, **sampling):
    return Request(tuple("abcd"), prompt, options=SamplingOptions(**{"max_seconds": 2, "seed": 3} | sampling))


def test_takes_are_what_each_seed_gives_alone_and_the_first_is_that_of_the_request(synthesizer):
    request = request_of()
    takes = speak_best(synthesizer, request, "abcd", options=OPTIONS)
    seeds = [take_seed(3, index) for index in range(4)]
    assert [one.seed for one in takes.takes] == seeds
    assert seeds[0] == 3 and len(set(seeds)) == 4
    for one in takes.takes:
        own = dataclasses.replace(request, options=request.options.model_copy(update={"seed": one.seed}))
        np.testing.assert_array_equal(one.speech.codes, synthesizer.speak_many([own])[0].codes)
    assert takes.chosen == choose(takes.takes)
    assert takes.best is takes.takes[takes.chosen]
    assert len({one.opinion.score for one in takes.takes}) > 1


def test_weights_change_the_choice(synthesizer):
    def chosen(**weights):
        options = BestOfOptions(count=6, **weights)
        return speak_best(synthesizer, request_of(seed=1), "abcd", options=options)

    by_voice = chosen(word_weight=0, character_weight=0)
    assert by_voice.best.opinion.voice == max(one.opinion.voice for one in by_voice.takes)
    assert by_voice.best.opinion.heard is None
    by_words = chosen(voice_weight=0)
    assert by_words.best.opinion.voice is None
    spoken = [one for one in by_words.takes if one.speech.codes.shape[1]]
    lowest = min(one.opinion.word_error_rate + one.opinion.character_error_rate for one in spoken)
    assert by_words.best.opinion.score == pytest.approx(-lowest)
    assert by_voice.chosen != by_words.chosen


def test_one_take_needs_no_judge(synthesizer):
    takes = speak_best(synthesizer, request_of(temperature=0), "abcd")
    assert len(takes.takes) == 1
    assert takes.best.opinion is None


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0},
        {"beam": BeamOptions(width=2)},
        {"decoding": "nar-len", "temperature": 0, "masked": MaskedOptions(steps=2)},
    ],
)
def test_takes_that_would_all_be_the_same_are_refused(synthesizer, sampling):
    with pytest.raises(ConfigurationError, match="All takes would be the same"):
        speak_best(synthesizer, request_of(**sampling), "abcd", options=OPTIONS)
    takes = speak_best(
        synthesizer,
        request_of(**sampling, nar_temperature=1.5, max_seconds=0.1, banned=(SPEC.codebook_size,)),
        "abcd",
        options=OPTIONS,
    )
    spoken = {one.speech.codes.tobytes() for one in takes.takes}
    assert len(spoken) > 1


def test_choices_that_nothing_decides_are_refused(synthesizer):
    deaf = BestOfOptions(count=2, word_weight=0, character_weight=0)
    with pytest.raises(ConfigurationError, match="Nothing tells the takes apart"):
        speak_best(synthesizer, request_of(prompt=None), "abcd", options=deaf)
    with pytest.raises(ConfigurationError, match="Nothing tells the takes apart"):
        speak_best(synthesizer, request_of(), "abcd", options=deaf.model_copy(update={"voice_weight": 0}))


def test_an_english_judge_is_not_asked_about_another_language():
    with pytest.raises(ConfigurationError, match=r"knows English only; set best_of\.transcriber to one that knows de"):
        opinions([of_letters("abc")], "abc", language="de")
