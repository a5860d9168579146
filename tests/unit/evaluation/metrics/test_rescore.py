import dataclasses
import importlib.util

import pytest

from valle.evaluation.metrics.rescore import rescore
from valle.evaluation.stats.aggregate import aggregate
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.text.errors import count_word_errors
from valle.text.normalise import get_normaliser, normalisers

HAS_WHISPER = importlib.util.find_spec("whisper_normalizer") is not None


@pytest.fixture
def spoken(make_row):
    """Two utterances whose raw texts are kept, scored under our own normaliser."""
    own = get_normaliser("valle-en")

    def row(utterance, text, transcription):
        made = make_row(
            utterance=utterance, reference=own(text), hypothesis=own(transcription), normaliser=own.label, path="a.wav"
        )
        return dataclasses.replace(made, reference_raw=text, hypothesis_raw=transcription, language="en")

    return [row("u0", "The well-known 50 men", "the well known fifty men"), row("u1", "Don't go!", "Do not go.")]


def test_every_registered_normaliser_counts_the_raw_texts_again(spoken):
    again = rescore(spoken)
    assert again[: len(spoken)] == spoken
    installed = {known.label for known in normalisers().values() if known.name != "whisper-en" or HAS_WHISPER}
    assert {row.normaliser for row in again} == installed
    for row in again:
        apply = get_normaliser(row.normaliser.partition("/")[0])
        assert (row.reference, row.hypothesis) == (apply(row.reference_raw), apply(row.hypothesis_raw))
        assert row.word_errors == count_word_errors(row.reference, row.hypothesis).errors
        assert row.score_id.endswith(row.normaliser)
    assert len({row.score_id for row in again}) == len(again)


def test_normalisers_disagree_where_they_should(spoken):
    rates = {s.normaliser: s.wer.value for s in aggregate(rescore(spoken), options=BootstrapOptions())}
    assert rates["valle-en/1"] == pytest.approx(2 / 8)
    assert rates["seed/1"] == pytest.approx((3 + 2) / 6)
    if HAS_WHISPER:
        assert rates["whisper-en/1"] == 0.0


def test_rows_without_their_raw_texts_stay_alone(spoken, make_row):
    rows = [*spoken, make_row(utterance="u2", normaliser="valle-en/1")]
    assert rescore(rows) == rows


def test_a_normaliser_that_leaves_no_word_of_one_text_is_left_out_for_all(spoken):
    digits = dataclasses.replace(spoken[0], utterance="u3", reference_raw="1 2", hypothesis_raw="1 2")
    labels = {row.normaliser for row in rescore([*spoken, digits])}
    assert "librispeech/1" not in labels
    assert "f5/1" in labels


def test_english_normalisers_are_not_applied_to_other_languages(spoken):
    german = [dataclasses.replace(row, language="de") for row in spoken]
    labels = {row.normaliser.partition("/")[0] for row in rescore(german)}
    assert labels == {"valle-en", "seed", "f5", "multilingual"}
