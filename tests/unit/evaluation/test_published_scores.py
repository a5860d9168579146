"""Scores that others published, made again from their texts: the definitions are the same."""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from valle.evaluation.aggregate import aggregate, compare
from valle.evaluation.errors import count_character_errors, count_word_errors
from warehouse.rows import ScoreRow

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "corpus" / "published_scores"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not PUBLISHED.exists(), reason="the published scores lie beside the checkout, not in it"),
]


def published_rows(name):
    with gzip.open(PUBLISHED / f"{name}.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            words = count_word_errors(line["reference"], line["hypothesis"])
            characters = count_character_errors(line["reference"], line["hypothesis"])
            assert words.errors == int(line["errors"])
            assert words.length == int(line["reference_words"])
            yield ScoreRow(
                score_id=f"{name}/{line['utterance']}/{line['trial']}",
                evaluation="published",
                protocol="cross_sentence",
                system=name,
                checkpoint_id=None,
                utterance=line["utterance"],
                prompt=None,
                trial=int(line["trial"]),
                speaker=line["utterance"].split("-")[0],
                path=line["utterance"],
                duration=None,
                reference=line["reference"],
                hypothesis=line["hypothesis"],
                normaliser="published",
                asr_model="HuBERT",
                num_words=words.length,
                word_errors=words.errors,
                num_characters=characters.length,
                character_errors=characters.errors,
                speaker_model="WavLM",
                sim_o=float(line["sim_o"]) if line["sim_o"] else None,
                generation_seconds=None,
                scored_at=datetime(2026, 1, 1, tzinfo=UTC),
            )


@pytest.fixture(scope="module")
def valle():
    return list(published_rows("valle_lifeiteng_cross"))


@pytest.fixture(scope="module")
def yourtts():
    return list(published_rows("yourtts_cross"))


def test_published_micro_and_macro_wer_and_similarity_are_reproduced(valle, yourtts):
    valle_scores, yourtts_scores = aggregate([*valle, *yourtts])
    assert round(100 * valle_scores.wer.value, 2) == 7.54
    assert round(100 * valle_scores.wer_macro.value, 2) == 7.93
    assert round(valle_scores.sim_o.value, 3) == 0.303
    assert round(100 * valle_scores.catastrophic.value, 2) == 1.08
    assert round(100 * yourtts_scores.wer.value, 2) == 7.85
    assert round(100 * yourtts_scores.wer_macro.value, 2) == 8.75
    assert round(yourtts_scores.sim_o.value, 3) == 0.373


def test_intervals_by_speaker_agree_with_an_independent_bootstrap(valle):
    """6.94 to 8.25 by plain percentiles; ours are a little wider by design, for forty speakers about 5 %."""
    (scores,) = aggregate(valle)
    assert 100 * scores.wer.low == pytest.approx(6.94, abs=0.06)
    assert 100 * scores.wer.high == pytest.approx(8.25, abs=0.06)
    assert scores.wer.high - scores.wer.low > (8.25 - 6.94) / 100


def test_the_published_win_of_one_system_over_the_other_is_a_tie(valle, yourtts):
    comparison = compare(valle, yourtts)
    assert comparison.num_pairs == 3710
    assert 100 * comparison.wer.difference == pytest.approx(7.54 - 7.85, abs=0.01)
    assert comparison.wer.probability == pytest.approx(0.80, abs=0.02)
    assert comparison.is_wer_tie
    assert not comparison.is_sim_tie
