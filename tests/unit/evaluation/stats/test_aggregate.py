import dataclasses

import pytest

from valle.evaluation.stats.aggregate import aggregate, compare
from valle.evaluation.stats.bootstrap import BootstrapOptions
from warehouse.errors import ConfigurationError

FAST = BootstrapOptions(replicas=1000)


def test_micro_and_macro_rates_are_what_their_definitions_say(make_row):
    rows = [
        make_row(utterance="a", speaker="ann", reference="one two three four", hypothesis="one two three for"),
        make_row(utterance="b", speaker="bob", reference="one two", hypothesis="nothing heard here"),
        make_row(utterance="c", speaker="bob", reference="one two", hypothesis="one two"),
    ]
    (scores,) = aggregate(rows, options=FAST)
    assert scores.wer.value == pytest.approx((1 + 3) / 8)
    assert scores.wer_macro.value == pytest.approx((0.25 + 1.5 + 0) / 3)
    assert scores.sentence_error.value == pytest.approx(2 / 3)
    assert scores.catastrophic.value == pytest.approx(1 / 3)
    assert (scores.num_words, scores.num_speakers, scores.num_scores) == (8, 2, 3)


def test_exactly_half_of_the_words_wrong_is_not_catastrophic(make_row):
    (scores,) = aggregate([make_row(reference="one two", hypothesis="one")], options=FAST)
    assert scores.catastrophic.value == 0


def test_missing_speech_is_counted_and_never_skipped(make_row):
    spoken = make_row(utterance="a", sim_o=0.8)
    missing = make_row(utterance="b", hypothesis="", path=None, sim_o=None)
    (scores,) = aggregate([spoken, missing], options=FAST)
    assert (scores.num_missing, scores.num_scores) == (1, 2)
    assert scores.wer.value == 0.5
    assert scores.sim_o.value == pytest.approx(0.4)


def test_a_system_that_fails_on_hard_lines_does_not_score_better(make_row):
    """The defect of published scorers that average over the files they find."""
    honest = [
        make_row(utterance=str(i), hypothesis="one two three" if i == 0 else "one two three four") for i in range(4)
    ]
    silent = [make_row(utterance="0", hypothesis="", path=None, sim_o=None), *honest[1:]]
    assert aggregate(silent, options=FAST)[0].wer.value > aggregate(honest, options=FAST)[0].wer.value


def test_a_system_without_any_speech_has_similarity_zero(make_row):
    (scores,) = aggregate([make_row(hypothesis="", path=None, sim_o=None)], options=FAST)
    assert (scores.wer.value, scores.sim_o.value) == (1.0, 0.0)


def test_speech_without_a_measured_similarity_has_none(make_row):
    (scores,) = aggregate([make_row(sim_o=None)], options=FAST)
    assert scores.sim_o is None


def test_systems_protocols_and_normalisers_are_kept_apart(make_row):
    rows = [make_row("b"), make_row("a"), make_row("a", normaliser="f5/1"), make_row("a", utterance="u1")]
    results = aggregate(rows, options=FAST)
    assert [(s.normaliser, s.system, s.num_scores) for s in results] == [
        ("f5/1", "a", 1),
        ("zip-ls/1", "a", 2),
        ("zip-ls/1", "b", 1),
    ]


def test_a_mean_over_two_asr_models_is_refused(make_row):
    with pytest.raises(ConfigurationError, match="different pairs of models"):
        aggregate([make_row(), make_row(utterance="u1", asr_model="large")], options=FAST)


def test_the_real_time_factor_leaves_out_what_was_not_timed(make_row):
    rows = [make_row(utterance="a", generation_seconds=1.0), make_row(utterance="b")]
    assert aggregate(rows, options=FAST)[0].real_time_factor == 0.5


def test_nothing_aggregates_to_nothing():
    assert aggregate([]) == []


def test_a_control_of_one_trial_is_paired_with_every_trial_of_a_model(make_evaluation):
    rows = make_evaluation({"model": (0.3, 0.4)}, trials=3)
    control = make_evaluation({"codec": (0.05, 0.7)})
    comparison = compare(rows, control, options=FAST)
    assert comparison.num_pairs == len(rows) == 3 * len(control)
    assert comparison.wer.difference > 0.05
    assert not comparison.is_wer_tie and not comparison.is_sim_tie


def test_a_small_but_certain_difference_is_a_tie(make_row):
    """One error in 300 words, always for the same system: below half a point it is not called a win."""
    text = "word " * 300
    a = [make_row("a", str(i), f"speaker{i}", reference=text, hypothesis=text) for i in range(5)]
    b = [make_row("b", str(i), f"speaker{i}", reference=text, hypothesis="wort " + "word " * 299) for i in range(5)]
    comparison = compare(a, b, options=FAST)
    assert comparison.wer.high < 0
    assert comparison.is_wer_tie


def test_systems_without_a_common_utterance_cannot_be_compared(make_row):
    with pytest.raises(ConfigurationError, match="share no utterance"):
        compare([make_row("a", "u0")], [make_row("b", "u1")])


def test_systems_scored_against_different_texts_cannot_be_compared(make_row):
    with pytest.raises(ConfigurationError, match="different texts"):
        compare([make_row("a")], [make_row("b", reference="five six")])


def test_scores_are_the_same_whatever_the_order_of_the_rows(make_evaluation):
    rows = make_evaluation({"model": (0.3, 0.4), "codec": (0.1, 0.6)})
    forth, back = aggregate(rows, options=FAST), aggregate(rows[::-1], options=FAST)
    assert [(s.system, s.wer) for s in forth] == [(s.system, s.wer) for s in back]
    assert all(dataclasses.is_dataclass(s) for s in forth)


def test_micro_and_macro_can_disagree_and_each_has_its_own_verdict(make_row):
    """Long lines go well for A, short ones for B: the words are for A, the lines for B."""
    long, short = " ".join("abcdefghij" * 4), "a b"
    rows_a, rows_b = [], []
    for number in range(40):
        text = long if number % 2 else short
        broken = text.replace("a", "x", 1) if text == short else text
        name, speaker = str(number), f"s{number // 2 % 10}"
        rows_a.append(make_row("a", name, speaker, reference=text, hypothesis=broken))
        worse = text if text == short else " ".join(["x"] * 4 + text.split()[4:])
        rows_b.append(make_row("b", name, speaker, reference=text, hypothesis=worse))
    comparison = compare(rows_a, rows_b, options=FAST)
    assert (comparison.wer_verdict, comparison.wer_macro_verdict) == ("better", "worse")
    assert comparison.sim_verdict == "tie"


def test_single_lines_as_clusters_promise_more_than_speakers_do(make_evaluation):
    rows = make_evaluation({"a": (0.3, 0.5), "b": (0.3, 0.5)}, num_speakers=6, num_utterances=30)
    a, b = ([row for row in rows if row.system == name] for name in ("a", "b"))
    by_speaker, by_line = (aggregate(a, options=FAST, clustering=one)[0] for one in ("speaker", "line"))
    assert by_line.wer.value == by_speaker.wer.value
    assert by_line.num_speakers == 6
    assert by_line.wer.high - by_line.wer.low < by_speaker.wer.high - by_speaker.wer.low
    paired = [compare(a, b, options=FAST, clustering=one).wer for one in ("speaker", "line")]
    assert paired[0].difference == paired[1].difference
