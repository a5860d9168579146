"""Every task overfits two utterances, and its answer is nearer to the truth than what it was given."""

import numpy as np
import pytest

from tests.unit.tasks.learning import TABLE, TEXTS, overfit, recordings
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.decoding.tokens import decode_tokens
from valle.synthesis.options import MaskedOptions, SamplingOptions
from valle.tasks.editing import EDITING, NOISY_EDITING
from valle.tasks.mixtures.conversion import CONVERSION, SINGING
from valle.tasks.mixtures.extraction import EXTRACTION
from valle.tasks.mixtures.removal import REMOVAL
from valle.tasks.mixtures.suppression import SUPPRESSION
from valle.tasks.spelling import PHONEMES, RAW_TEXT, SPELLING, bytes_text, text_bytes

EMPTY = np.zeros((8, 0), np.int16)


def options_for(frames):
    """Greedy AR, and NAR-len of a given length."""
    masked = SamplingOptions(decoding="nar-len", temperature=0, seconds=frames / 50, masked=MaskedOptions(steps=6))
    return SamplingOptions(temperature=0), masked


def accuracy(model, pairs):
    """The fraction of right codes in both ways of decoding, for pairs of condition and truth."""
    scores = []
    for condition, truth in pairs:
        for options in options_for(truth.shape[1]):
            (decoded,) = decode(model, [condition], [options])
            frames = min(decoded.codes.shape[1], truth.shape[1])
            right = (decoded.codes[:, :frames] == truth[:, :frames]).sum()
            scores.append(right / max(decoded.codes.size, truth.size))
    return np.mean(scores)


def symbols(index):
    return np.array(TABLE.encode(list(TEXTS[index])))


@pytest.mark.parametrize(
    ("task", "ratio", "kind"),
    [
        (SUPPRESSION, "suppression_ratio", "noise"),
        pytest.param(REMOVAL, "removal_ratio", "noise", marks=pytest.mark.long),
        pytest.param(EXTRACTION, "extraction_ratio", "speaker", marks=pytest.mark.long),
        pytest.param(CONVERSION, "conversion_ratio", "voice", marks=pytest.mark.long),
        pytest.param(SINGING, "singing_ratio", "voice", marks=pytest.mark.long),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_is_made_of_a_mixture_is_learnt(task, ratio, kind):
    model = overfit(ratio, steps=90, kind=kind)
    pairs, given = [], []
    for index in range(2):
        one = recordings()[index]
        truth = one.interference if task is REMOVAL else one.speech
        prompt = recordings()[index + 2].speech if task.needs_prompt else None
        pairs.append((Condition(symbols(index), 1, prompt, EMPTY, task, context=task.context(one.mixture)), truth))
        given.append((one.mixture == truth).mean())
    assert accuracy(model, pairs) > 0.9
    assert np.mean(given) < 0.2, "the control returns its input"


@pytest.mark.parametrize(
    ("task", "ratio"),
    [
        (EDITING, "editing_ratio"),
        pytest.param(NOISY_EDITING, "noisy_editing_ratio", marks=pytest.mark.long),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_span_is_filled(task, ratio):
    model = overfit(ratio, steps=180)
    pairs, wrong = [], []
    for index in range(2):
        one = recordings()[index]
        codes = one.speech if task is EDITING else one.mixture
        for start, end in ((2, 6), (0, 4)):
            before, after = codes[:, :start], codes[:, end:]
            context = task.context(before, after)
            condition = Condition(symbols(index), 1, None, before, task, suffix=after, context=context)
            pairs.append((condition, codes[:, start:end]))
            wrong.append((codes[:, start:end] == codes[:, end : 2 * end - start]).mean())
    assert accuracy(model, pairs) > 0.8
    assert np.mean(wrong) < 0.5, "the control is the span beside it"


@pytest.mark.long
def test_raw_text_is_spoken():
    model = overfit("raw_text_ratio", steps=90)
    nothing = np.zeros(0, dtype=np.int64)
    pairs = [
        (
            Condition(
                nothing, 1, recordings()[index + 2].speech, EMPTY, RAW_TEXT, context=RAW_TEXT.context(TEXTS[index])
            ),
            recordings()[index].speech,
        )
        for index in range(2)
    ]
    assert accuracy(model, pairs) > 0.9


def test_phonemes_and_texts_are_learnt_from_each_other():
    model = overfit("phonemes_ratio", steps=50, spelling_ratio=0.5, **{"phonemes_ratio": 0.5})
    to_phonemes = [PHONEMES.row(text_bytes(text), 1) for text in TEXTS[:2]]
    found = decode_tokens(model, PHONEMES.layout, to_phonemes, longest=12)
    assert [TABLE.decode(ids) for ids in found] == [list(text) for text in TEXTS[:2]]
    to_text = [SPELLING.row(symbols(index), 1) for index in range(2)]
    assert [bytes_text(ids) for ids in decode_tokens(model, SPELLING.layout, to_text, longest=12)] == list(TEXTS[:2])


def test_bytes_that_are_no_text_are_marked():
    assert bytes_text(text_bytes("naïve 你").tolist()) == "naïve 你"
    assert bytes_text([0xE4, 0xBD]) == "\N{REPLACEMENT CHARACTER}"
