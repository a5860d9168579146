import numpy as np
import pytest

from valle.evaluation.stats.bootstrap import BootstrapOptions, compare_ratios, estimate_mean, estimate_ratio

COVERAGE = BootstrapOptions(replicas=300)


def clustered_errors(generator, *, speakers, utterances=10, rate=0.1):
    """Errors and words of utterances whose error rate depends on the speaker; the true micro rate is `rate`."""
    hardness = generator.gamma(4, rate / 4, size=speakers)
    words = generator.integers(5, 25, size=(speakers, utterances))
    errors = generator.binomial(words, np.clip(hardness, 0, 1)[:, None])
    return errors.ravel(), words.ravel(), speaker_names(speakers, utterances)


def speaker_names(speakers, utterances):
    return list(np.repeat([f"speaker{i}" for i in range(speakers)], utterances))


def test_intervals_of_forty_speakers_cover_the_true_error_rate_in_93_to_97_percent():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        errors, words, names = clustered_errors(generator, speakers=40)
        estimate = estimate_ratio(errors, words, clusters=names, options=COVERAGE)
        covered += estimate.low <= 0.1 <= estimate.high
    assert 0.93 <= covered / 400 <= 0.97


def test_intervals_of_eight_speakers_cover_the_true_mean_in_93_to_97_percent():
    generator = np.random.default_rng(2)
    names = speaker_names(8, 5)
    covered = 0
    for _ in range(800):
        levels = generator.normal(0.4, 0.1, size=(8, 1))
        values = (levels + generator.normal(0, 0.05, size=(8, 5))).ravel()
        estimate = estimate_mean(values, clusters=names, options=COVERAGE)
        covered += estimate.low <= 0.4 <= estimate.high
    assert 0.93 <= covered / 800 <= 0.97


def test_utterances_of_one_speaker_are_no_independent_evidence():
    """Every utterance ten times over: the interval by speaker must not move."""
    errors, words, names = clustered_errors(np.random.default_rng(3), speakers=20)
    once = estimate_ratio(errors, words, clusters=names)
    tenfold = estimate_ratio(np.tile(errors, 10), np.tile(words, 10), clusters=names * 10)
    assert tenfold.value == pytest.approx(once.value)
    assert (tenfold.low, tenfold.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_the_same_rows_give_the_same_interval_and_another_seed_a_slightly_different_one():
    errors, words, names = clustered_errors(np.random.default_rng(4), speakers=20)
    first, again = (estimate_ratio(errors, words, clusters=names) for _ in range(2))
    assert first == again
    other = estimate_ratio(errors, words, clusters=names, options=BootstrapOptions(seed=1))
    assert other != first
    assert other.low == pytest.approx(first.low, rel=0.05)


def test_the_order_of_rows_does_not_matter():
    errors, words, names = clustered_errors(np.random.default_rng(5), speakers=12)
    order = np.random.default_rng(6).permutation(len(names))
    shuffled = estimate_ratio(errors[order], words[order], clusters=[names[i] for i in order])
    straight = estimate_ratio(errors, words, clusters=names)
    assert shuffled.value == straight.value
    assert shuffled.low == pytest.approx(straight.low)


def test_a_wider_level_gives_a_wider_interval():
    errors, words, names = clustered_errors(np.random.default_rng(7), speakers=20)
    narrow, wide = (
        estimate_ratio(errors, words, clusters=names, options=BootstrapOptions(confidence=level))
        for level in (0.8, 0.99)
    )
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_one_speaker_gives_a_value_and_no_interval():
    estimate = estimate_ratio([1, 2], [4, 4], clusters=["ann", "ann"])
    assert (estimate.value, estimate.low, estimate.high) == (0.375, None, None)


def test_nothing_to_divide_by_is_an_error():
    with pytest.raises(ValueError, match="at least one utterance"):
        estimate_ratio([], [], clusters=[])


def test_a_paired_difference_is_narrower_than_the_scores_it_compares():
    generator = np.random.default_rng(8)
    errors, words, names = clustered_errors(generator, speakers=30)
    better = np.maximum(errors - generator.binomial(1, 0.3, size=len(errors)), 0)
    single = estimate_ratio(errors, words, clusters=names)
    paired = compare_ratios(better, errors, words, clusters=names)
    assert paired.difference < 0
    assert paired.high < 0
    assert paired.probability > 0.999
    assert paired.high - paired.low < (single.high - single.low) / 2


def test_two_equal_systems_improve_on_each_other_with_probability_one_half():
    errors, words, names = clustered_errors(np.random.default_rng(9), speakers=30)
    paired = compare_ratios(errors, errors, words, clusters=names)
    assert (paired.difference, paired.low, paired.high, paired.probability) == (0, 0, 0, 0.5)


def test_the_probability_of_improvement_changes_sides_with_the_systems():
    generator = np.random.default_rng(10)
    errors, words, names = clustered_errors(generator, speakers=30)
    others = generator.permutation(errors)
    forth, back = (compare_ratios(a, b, words, clusters=names) for a, b in ((errors, others), (others, errors)))
    assert forth.probability == pytest.approx(1 - back.probability)
    assert forth.low == pytest.approx(-back.high, abs=1e-9)
