"""Long texts by a model that was never trained: what is tested is how sentences follow from each other, not speech."""

import dataclasses

import numpy as np
import pytest

from tests.unit.synthesis.toy import ToyCodec, untrained_synthesizer
from tests.unit.training.toy import SPEC, codes_for
from valle.model.layout import Mode
from valle.phonemes import PhonemeTable
from valle.phonemes.table import BEGIN, END
from valle.synthesis.decoding.seeds import candidate_seed, sentence_seed
from valle.synthesis.long_form import iterate_passages, rolling_context, speak_long
from valle.synthesis.options import BestOfOptions, LongFormOptions, SamplingOptions
from valle.synthesis.synthesizer import Prompt
from valle.synthesis.texts.sentences import split_pieces
from warehouse.errors import ConfigurationError

TEXT = "Abc de. Fgh! Dab? Hef."
SENTENCES = ["Abc de.", "Fgh!", "Dab?", "Hef."]
PROMPT = Prompt(codes_for("abch", 0), tuple("abch"))
DRAWN = SamplingOptions(max_seconds=9, seed=6)
CUT = SamplingOptions(max_seconds=0.1)  # 5 frames


@pytest.fixture(scope="module")
def synthesizer():
    return untrained_synthesizer(stop=1.0)


class Watched:
    """The batches that the network reads while the context is open: those of whole rows, in order."""

    def __init__(self, synthesizer):
        self._model, self.batches = synthesizer.model, []

    def __enter__(self):
        compute = self._model._hidden

        def record(batch, cache=None):
            self.batches.append(batch)
            return compute(batch, cache)

        self._model._hidden = record
        return self.batches

    def __exit__(self, *_):
        del self._model._hidden


def test_earlier_sentences_are_one_text_and_one_prefix_at_every_level(synthesizer):
    # Defects B17 and B28: only level 0 went on from the context, and it had begins and ends within.
    with Watched(synthesizer) as batches:
        spoken = speak_long(synthesizer, TEXT, PROMPT, sampling=DRAWN, options=LongFormOptions(context_seconds=9))
    table = PhonemeTable(synthesizer.card.phoneme_symbols)
    begin, end = table.encode(())
    assert [piece.problem for piece in spoken.pieces] == [None] * 4
    assert [piece.text for piece in spoken.pieces] == SENTENCES
    assert len(batches) == 4 * 8
    by_sentence = [batches[first : first + 8] for first in range(0, len(batches), 8)]
    for number, (own, piece) in enumerate(zip(by_sentence, spoken.pieces, strict=True)):
        earlier = spoken.pieces[:number]
        text = [symbol for one in earlier for symbol in (*one.symbols, " ")] + list(piece.symbols)
        given = np.concatenate([np.zeros((8, 0), np.int16), *(one.codes for one in earlier)], axis=1)
        whole = np.concatenate([given, piece.codes], axis=1)
        for level, batch in enumerate(own):
            assert int(batch.elements["codebook"][0]) == level
            assert batch.layout.mode == (Mode.NAR if level else Mode.AR)
            ids = batch.elements["text"].flatten().tolist()
            assert ids == table.encode(text)
            assert (ids.count(begin), ids.count(end)) == (1, 1)
            assert BEGIN not in text and END not in text
            assert batch.elements["prompt"].T.tolist() == PROMPT.codes.tolist()
            target = batch.elements["target"].T.tolist()
            assert target[: max(level, 1)] == (whole[:level] if level else given[:1]).tolist()


def of_lengths(*lengths):
    return [
        Prompt(np.full((8, length), number, np.int16), ("abcdefgh"[number],)) for number, length in enumerate(lengths)
    ]


def test_the_context_is_as_many_whole_sentences_as_fit_into_its_seconds():
    history = of_lengths(4, 3, 5)
    assert rolling_context(history, 12).symbols == ("a", " ", "b", " ", "c")
    assert rolling_context(history, 11).symbols == ("b", " ", "c")
    assert rolling_context(history, 8).codes[0].tolist() == [1] * 3 + [2] * 5
    assert rolling_context(history, 7).symbols == ("c",)
    assert rolling_context(history, 4) is None
    assert rolling_context([], 9) is None


def test_the_context_is_capped_by_its_seconds_however_many_sentences_there_are(synthesizer):
    with Watched(synthesizer) as batches:
        speak_long(synthesizer, "Ab. " * 12, PROMPT, sampling=DRAWN, options=LongFormOptions(context_seconds=0.6))
    given = [len(batch.elements["target"]) for batch in batches if batch.layout.mode == Mode.AR]
    assert max(given) <= 30
    assert max(given) > 0
    with Watched(synthesizer) as batches:
        speak_long(synthesizer, "Ab. " * 3, PROMPT, sampling=DRAWN, options=LongFormOptions(context_seconds=0))
    assert [len(batch.elements["target"]) for batch in batches if batch.layout.mode == Mode.AR] == [0, 0, 0]


def test_a_seed_fixes_a_long_text_and_each_sentence_draws_for_itself(synthesizer):
    def speak(seed, text="Ab. Ab. Ab. Ab."):
        sampling = SamplingOptions(seed=seed, max_seconds=9)
        return speak_long(synthesizer, text, PROMPT, sampling=sampling, options=LongFormOptions(context_seconds=0))

    spoken, again, other = speak(3), speak(3), speak(4)
    np.testing.assert_array_equal(spoken.speech.codes, again.speech.codes)
    assert spoken.speech.codes.tolist() != other.speech.codes.tolist()
    assert [piece.seed for piece in spoken.pieces] == [sentence_seed(3, index) for index in range(4)]
    assert len({piece.codes.tobytes() for piece in spoken.pieces}) == 4


def test_seeds_of_sentences_and_candidates_do_not_meet():
    seeds = [
        candidate_seed(sentence_seed(seed, sentence), take)
        for seed in range(20)
        for sentence in range(20)
        for take in range(5)
    ]
    assert len(set(seeds)) == len(seeds)
    assert candidate_seed(sentence_seed(7, 0), 0) == 7


def test_a_text_of_one_sentence_is_what_it_would_be_alone(synthesizer):
    for prompt in (PROMPT, None):
        alone = synthesizer.speak_text("Abc de.", prompt, options=DRAWN)
        spoken = speak_long(synthesizer, " Abc de.\n", prompt, sampling=DRAWN)
        np.testing.assert_array_equal(spoken.speech.codes, alone.codes)
        np.testing.assert_array_equal(spoken.speech.audio.samples, alone.audio.samples)


def test_a_sentence_without_a_frame_or_a_phoneme_is_reported_and_nothing_goes_on_from_it():
    synthesizer = untrained_synthesizer(stop=2.5)
    with Watched(synthesizer) as batches:
        spoken = speak_long(
            synthesizer,
            "Ab. " * 15 + "XYZ. " + "Cd.",
            PROMPT,
            sampling=DRAWN,
            options=LongFormOptions(context_seconds=60),
        )
    problems = [piece.problem for piece in spoken.pieces]
    silent = [piece for piece in spoken.pieces if not piece.is_spoken]
    assert problems[15] == "it has no phonemes"
    assert "the model ended it before the first frame" in problems
    assert None in problems
    assert all(piece.problem is not None for piece in silent)
    assert not spoken.speech.is_complete
    good = [piece for piece in spoken.pieces[:-1] if piece.is_spoken]
    np.testing.assert_array_equal(
        spoken.speech.codes, np.concatenate([piece.codes for piece in spoken.pieces if piece.is_spoken], axis=1)
    )
    last = [batch for batch in batches if batch.layout.mode == Mode.AR][-1]
    assert len(last.elements["target"]) == sum(piece.codes.shape[1] for piece in good)


def test_a_text_of_which_nothing_is_said_is_silence_with_its_reasons():
    spoken = speak_long(untrained_synthesizer(stop=1e4), "Ab. Cd.", sampling=DRAWN)
    assert spoken.speech.codes.shape == (8, 0)
    assert len(spoken.speech.audio.samples) == 0
    assert not spoken.speech.is_complete
    assert [piece.problem for piece in spoken.pieces] == ["the model ended it before the first frame"] * 2


def test_a_sentence_that_is_cut_is_heard_and_reported_but_not_gone_on_from(synthesizer):
    # Its text says more than its codes.
    suppressed_codes = CUT.model_copy(update={"suppressed_codes": (SPEC.codebook_size,)})
    with Watched(synthesizer) as batches:
        spoken = speak_long(synthesizer, "Ab. Cd.", PROMPT, sampling=suppressed_codes)
    assert [piece.problem for piece in spoken.pieces] == ["it was cut after 0.1 s"] * 2
    assert spoken.speech.codes.shape == (8, 10)
    assert [len(batch.elements["target"]) for batch in batches if batch.layout.mode == Mode.AR] == [0, 0]


def test_without_a_prompt_the_first_sentence_is_the_voice_of_the_others(synthesizer):
    with Watched(synthesizer) as batches:
        spoken = speak_long(synthesizer, TEXT, sampling=DRAWN)
    prompts = [batch.elements["prompt"][:, 0].tolist() for batch in batches if batch.layout.mode == Mode.AR]
    assert prompts == [[], *[spoken.pieces[0].codes[0].tolist()] * 3]


def test_a_prompt_that_is_continued_is_the_first_of_the_earlier_sentences(synthesizer):
    going_on = DRAWN.model_copy(update={"continues_prompt": True})
    frames = PROMPT.codes.shape[1]

    def given(seconds):
        with Watched(synthesizer) as batches:
            options = LongFormOptions(context_seconds=seconds)
            spoken = speak_long(synthesizer, "Ab. Cd.", PROMPT, sampling=going_on, options=options)
        starts = [len(batch.elements["target"]) for batch in batches if batch.layout.mode == Mode.AR]
        return starts, spoken.pieces[0].codes.shape[1]

    starts, first = given(9)
    assert starts == [frames, frames + first]
    starts, first = given(first / SPEC.frame_rate)
    assert starts == [frames, first]


def test_a_pause_is_the_codes_of_silence_between_sentences(synthesizer):
    plain = speak_long(synthesizer, "Ab. Cd.", PROMPT, sampling=DRAWN)
    paused = speak_long(synthesizer, "Ab. Cd.", PROMPT, sampling=DRAWN, options=LongFormOptions(pause_seconds=0.2))
    first = plain.pieces[0].codes.shape[1]
    expected = np.insert(plain.speech.codes, [first] * 10, 0, axis=1)
    np.testing.assert_array_equal(paused.speech.codes, expected)
    assert paused.speech.duration == pytest.approx(plain.speech.duration + 0.2)
    np.testing.assert_array_equal(paused.speech.audio.samples, ToyCodec().decode([expected])[0])


class RecordingCodec(ToyCodec):
    """Record the frames that are decoded at a time."""

    def __init__(self):
        self.decoded = []

    def decode(self, codes):
        self.decoded.extend(block.shape[1] for block in codes)
        return super().decode(codes)


def test_a_sentence_is_decoded_after_the_last_second_of_the_speech_before_it(synthesizer):
    codec = RecordingCodec()
    watched = dataclasses.replace(synthesizer, codec=codec)
    always = DRAWN.model_copy(update={"suppressed_codes": (SPEC.codebook_size,), "max_seconds": 0.6})  # 30 frames
    spoken = speak_long(watched, "Ab. Cd. Ef. Gh.", PROMPT, sampling=always)
    # Each is decoded by the synthesizer alone, and by the long form after at most 50 frames.
    assert codec.decoded == [30, 30, 30, 60, 30, 80, 30, 80]
    np.testing.assert_array_equal(spoken.speech.audio.samples, ToyCodec().decode([spoken.speech.codes])[0])


def test_passages_arrive_one_by_one_and_together_are_the_speech(synthesizer):
    def passages():
        return iterate_passages(synthesizer, TEXT, PROMPT, sampling=DRAWN)

    with Watched(synthesizer) as batches:
        first = next(passages())
        assert len(batches) == 8
    assert (first.num_done, first.num_pieces, first.piece.text) == (1, 4, SENTENCES[0])
    spoken = speak_long(synthesizer, TEXT, PROMPT, sampling=DRAWN)
    every = list(passages())
    assert [passage.num_done for passage in every] == [1, 2, 3, 4]
    np.testing.assert_array_equal(np.concatenate([passage.codes for passage in every], axis=1), spoken.speech.codes)
    samples = np.concatenate([passage.samples for passage in every])
    np.testing.assert_array_equal(samples, spoken.speech.audio.samples)


def test_the_earlier_sentences_that_are_kept_do_not_grow_with_the_text(synthesizer):
    iterator = iterate_passages(
        synthesizer, "Ab. " * 30, PROMPT, sampling=DRAWN, options=LongFormOptions(context_seconds=0.6)
    )
    kept = []
    for _ in iterator:
        history = iterator.gi_frame.f_locals["narrator"].history
        kept.append(sum(sentence.codes.shape[1] for sentence in history[1:]))
    assert max(kept) < 30


def test_a_sentence_in_a_foreign_script_is_refused_and_the_others_are_spoken(synthesizer):
    spoken = speak_long(synthesizer, "Abc de. Привет. Fgh!", PROMPT, sampling=DRAWN)
    assert [piece.is_spoken for piece in spoken.pieces] == [True, False, True]
    assert spoken.pieces[1].problem.startswith("it has 6 letters")
    for text in ("مرحبا", "สวัสดี", "ab, مرحبا cd.", "你好"):
        with pytest.raises(ConfigurationError, match=r"nothing to speak \(.*it has \d+ letters"):
            speak_long(synthesizer, text, PROMPT, sampling=DRAWN)


def test_a_text_that_is_not_unicode_is_refused(synthesizer):
    with pytest.raises(ConfigurationError, match="Character 3 of the text is no Unicode; give UTF-8 text"):
        speak_long(synthesizer, "ab\udcff cd", PROMPT, sampling=DRAWN)


def test_a_text_too_long_for_one_piece_is_refused(synthesizer):
    with pytest.raises(ConfigurationError, match=r"at most 2,000 are spoken as one piece"):
        speak_long(synthesizer, "ab " * 1000, PROMPT, sampling=DRAWN, options=LongFormOptions(split="none"))


def test_masked_decoding_goes_on_from_sentences_too(synthesizer):
    sampling = SamplingOptions(decoding="nar-len", duration="average", masked={"steps": 3}, max_seconds=9)
    spoken = speak_long(synthesizer, TEXT, PROMPT, sampling=sampling, options=LongFormOptions(context_seconds=9))
    # A symbol lasts one frame on average: no length is taken from the context.
    assert [piece.codes.shape[1] for piece in spoken.pieces] == [
        len(piece.symbols) + (i > 0) for i, piece in enumerate(spoken.pieces)
    ]


def test_each_sentence_can_be_the_best_of_several_candidates(synthesizer):
    spoken = speak_long(synthesizer, "Ab. Cd.", PROMPT, sampling=DRAWN, best_of=BestOfOptions(count=3))
    assert all(piece.candidates is None for piece in speak_long(synthesizer, "Ab.", PROMPT, sampling=DRAWN).pieces)
    for index, piece in enumerate(spoken.pieces):
        assert [candidate.seed for candidate in piece.candidates.candidates] == [
            candidate_seed(sentence_seed(6, index), take) for take in range(3)
        ]
        assert piece.candidates.best.speech.codes is piece.codes
        assert piece.seed == piece.candidates.best.seed


def test_texts_are_split_as_asked():
    def split(text, **options):
        return split_pieces(text, "en", LongFormOptions(**options))

    assert split("One. Two\nthree.") == ["One.", "Two\nthree."]
    assert split("One. Two\nthree.", split="lines") == ["One. Two", "three."]
    assert split(" One. Two\nthree.", split="none") == ["One. Two\nthree."]
    assert split("One.\n\n* * *\n\nTwo.\n…") == ["One.", "Two.\n…"]
    assert split("One\n---\nTwo", split="lines") == ["One", "Two"]
    assert split("one two three four five", max_characters=20) == ["one two three", "four five"]


def test_what_makes_no_sense_is_one_sentence(synthesizer):
    for text in ("", " \n", "XYZ.", "... !"):
        with pytest.raises(ConfigurationError, match="nothing to speak"):
            speak_long(synthesizer, text)
    with pytest.raises(ConfigurationError, match="The duration of 1 s is for one utterance and the text has 2"):
        speak_long(synthesizer, "Ab. Cd.", sampling=SamplingOptions(decoding="nar-len", seconds=1))
    with pytest.raises(ConfigurationError, match="give its codes and its text"):
        speak_long(synthesizer, "Ab.", sampling=SamplingOptions(continues_prompt=True))
