"""Long texts by a model that was never trained: what is tested is how sentences follow from each other, not speech."""

import numpy as np
import pytest

from tests.unit.synthesis.toy import ToyCodec, untrained_synthesizer
from tests.unit.training.toy import SPEC, codes_for
from valle.model.layout import Mode
from valle.phonemes import PhonemeTable
from valle.phonemes.table import BEGIN, END
from valle.synthesis.decoding.seeds import sentence_seed, take_seed
from valle.synthesis.long_form import LongFormOptions, Piece, _joined, rolling_context, speak_long, split_text
from valle.synthesis.options import BestOfOptions, SamplingOptions
from valle.synthesis.synthesizer import Prompt
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
        self._handle = self._model.register_forward_pre_hook(
            lambda module, arguments: self.batches.append(arguments[0])
        )
        return self.batches

    def __exit__(self, *_):
        self._handle.remove()


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


def test_seeds_of_sentences_and_takes_do_not_meet():
    seeds = [
        take_seed(sentence_seed(seed, sentence), take)
        for seed in range(20)
        for sentence in range(20)
        for take in range(5)
    ]
    assert len(set(seeds)) == len(seeds)
    assert take_seed(sentence_seed(7, 0), 0) == 7


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
            options=LongFormOptions(context_seconds=99),
        )
    problems = [piece.problem for piece in spoken.pieces]
    silent = [piece for piece in spoken.pieces if not piece.is_spoken]
    assert problems[15] == "it has no phonemes"
    assert "the model ended before it said anything" in problems
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
    assert [piece.problem for piece in spoken.pieces] == ["the model ended before it said anything"] * 2


def test_a_sentence_that_is_cut_is_heard_and_reported_but_not_gone_on_from(synthesizer):
    # Its text says more than its codes.
    banned = CUT.model_copy(update={"banned": (SPEC.codebook_size,)})
    with Watched(synthesizer) as batches:
        spoken = speak_long(synthesizer, "Ab. Cd.", PROMPT, sampling=banned)
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


def test_the_codec_plays_no_more_than_half_a_minute_at_a_time_and_cuts_no_sentence():
    played = []

    class Codec(ToyCodec):
        def decode(self, codes):
            played.extend(block.shape[1] for block in codes)
            return super().decode(codes)

    rng = np.random.default_rng(0)
    lengths = [700, 700, 300, 1600, 0, 40]  # 50 frames a second
    pieces = [Piece("a", ("a",), rng.integers(0, 32, (8, n)).astype(np.int16), 0) for n in lengths]
    codes, samples = _joined(Codec(), pieces, 0.0)
    assert played == [1400, 300, 1600, 40]
    np.testing.assert_array_equal(codes, np.concatenate([piece.codes for piece in pieces], axis=1))
    np.testing.assert_array_equal(samples, ToyCodec().decode([codes])[0])


def test_masked_decoding_goes_on_from_sentences_too(synthesizer):
    sampling = SamplingOptions(decoding="nar-len", duration="average", masked={"steps": 3}, max_seconds=9)
    spoken = speak_long(synthesizer, TEXT, PROMPT, sampling=sampling, options=LongFormOptions(context_seconds=9))
    # A symbol lasts one frame on average: no length is taken from the context.
    assert [piece.codes.shape[1] for piece in spoken.pieces] == [
        len(piece.symbols) + (i > 0) for i, piece in enumerate(spoken.pieces)
    ]


def test_each_sentence_can_be_the_best_of_several_takes(synthesizer):
    spoken = speak_long(synthesizer, "Ab. Cd.", PROMPT, sampling=DRAWN, best_of=BestOfOptions(count=3))
    for index, piece in enumerate(spoken.pieces):
        assert [take.seed for take in piece.takes.takes] == [
            take_seed(sentence_seed(6, index), take) for take in range(3)
        ]
        assert piece.takes.best.speech.codes is piece.codes
        assert piece.seed == piece.takes.best.seed


def test_texts_are_split_as_asked():
    def split(text, **options):
        return split_text(text, "en", LongFormOptions(**options))

    assert split("One. Two\nthree.") == ["One.", "Two\nthree."]
    assert split("One. Two\nthree.", split="lines") == ["One. Two", "three."]
    assert split(" One. Two\nthree.", split="none") == ["One. Two\nthree."]
    assert split("One.\n\n* * *\n\nTwo.\n…") == ["One.", "Two.\n…"]
    assert split("One\n---\nTwo", split="lines") == ["One", "Two"]
    assert split("one two three four five", max_characters=20) == ["one two three", "four five"]


def test_what_makes_no_sense_is_one_sentence(synthesizer):
    for text in ("", " \n", "XYZ.", "... !"):
        with pytest.raises(ConfigurationError, match="nothing to say"):
            speak_long(synthesizer, text)
    with pytest.raises(ConfigurationError, match="The length of 1 s is for one utterance and the text has 2"):
        speak_long(synthesizer, "Ab. Cd.", sampling=SamplingOptions(decoding="nar-len", seconds=1))
    with pytest.raises(ConfigurationError, match="what it says"):
        speak_long(synthesizer, "Ab.", sampling=SamplingOptions(continues_prompt=True))
