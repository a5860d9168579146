import math

import pytest
import torch

from valle.synthesis.samplers.filters import (
    REMOVED,
    keep_likely,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_top_sigma,
    suppress,
)
from warehouse.errors import ConfigurationError

FILTERS = {
    "top_k": (keep_top_k, (1, 3, 7)),
    "top_p": (keep_top_p, (0.01, 0.5, 0.9)),
    "min_p": (keep_min_p, (0.02, 0.3, 1.0)),
    "top_sigma": (keep_top_sigma, (0.2, 1.0, 2.0)),
}
EACH_FILTER = pytest.mark.parametrize(
    ("keep", "value"), [(keep, value) for keep, values in FILTERS.values() for value in values]
)


def random_logits(count, size=12):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(count)) * 2


def kept(logits):
    return {index for index, value in enumerate(logits.tolist()) if value != REMOVED}


def probabilities_of(logits):
    weights = [math.exp(value) for value in logits.tolist()]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("k", [1, 3, 12, 40])
def test_top_k_keeps_the_k_largest(k):
    for logits in random_logits(20):
        order = sorted(range(12), key=lambda index: -float(logits[index]))
        assert kept(keep_top_k(logits, k)) == set(order[:k])


@pytest.mark.parametrize("p", [0.01, 0.3, 0.7, 0.95, 1.0])
def test_top_p_keeps_the_smallest_set_of_likeliest_entries_that_reaches_p(p):
    for logits in random_logits(20):
        probabilities = probabilities_of(logits)
        expected, reached = set(), 0.0
        for index in sorted(range(12), key=lambda index: -probabilities[index]):
            if reached >= p:
                break
            expected.add(index)
            reached += probabilities[index]
        assert kept(keep_top_p(logits, p)) == expected


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.9, 1.0])
def test_min_p_keeps_what_is_at_least_that_share_of_the_likeliest(share):
    for logits in random_logits(20):
        probabilities = probabilities_of(logits)
        expected = {index for index in range(12) if probabilities[index] >= share * max(probabilities)}
        assert kept(keep_min_p(logits, share)) == expected


@pytest.mark.parametrize("count", [0.1, 0.5, 1.0, 2.5])
def test_top_sigma_keeps_what_is_within_that_many_deviations_of_the_largest(count):
    for logits in random_logits(20):
        values = logits.tolist()
        mean = sum(values) / 12
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 12)
        expected = {index for index in range(12) if values[index] >= max(values) - count * deviation}
        assert kept(keep_top_sigma(logits, count)) == expected


def test_top_sigma_keeps_the_same_at_every_temperature_and_sees_only_what_is_left():
    for logits in random_logits(20):
        assert kept(keep_top_sigma(logits / 7, 1.5)) == kept(keep_top_sigma(logits, 1.5))
        fewer = logits.clone()
        fewer[[2, 5]] = REMOVED
        places = [index for index in range(12) if index not in (2, 5)]
        alone = {places[index] for index in kept(keep_top_sigma(logits[places], 1.5))}
        assert kept(keep_top_sigma(fewer, 1.5)) == alone


@EACH_FILTER
def test_a_filter_keeps_the_likeliest_and_changes_no_entry_that_it_keeps(keep, value):
    for logits in random_logits(20):
        filtered = keep(logits, value)
        assert int(logits.argmax()) in kept(filtered)
        assert all(filtered[index] == logits[index] for index in kept(filtered))
        assert torch.equal(keep(filtered, 0 if keep is not keep_top_p else 1.0), filtered)


@EACH_FILTER
def test_a_filter_treats_every_row_as_if_it_were_alone_and_writes_into_none(keep, value):
    logits = random_logits(6)
    before = logits.clone()
    together = keep(logits, value)
    for row, alone in zip(together, logits, strict=True):
        assert torch.equal(row, keep(alone, value))
    assert torch.equal(keep(logits.view(2, 3, 12), value).view(6, 12), together)
    assert torch.equal(logits, before)


def test_a_wider_filter_keeps_all_that_a_narrower_one_does():
    for keep, values in FILTERS.values():
        widest_last = values[::-1] if keep is keep_min_p else values
        for logits in random_logits(20):
            sets = [kept(keep(logits, value)) for value in widest_last]
            assert sets[0] <= sets[1] <= sets[2]


def test_all_filters_together_are_each_on_what_the_one_before_left():
    for logits in random_logits(20):
        expected = keep_min_p(keep_top_p(keep_top_k(keep_top_sigma(logits, 1.5), 5), 0.9), 0.2)
        assert torch.equal(keep_likely(logits, top_sigma=1.5, top_k=5, top_p=0.9, min_p=0.2), expected)
        assert torch.equal(keep_likely(logits, top_sigma=0, top_k=0, top_p=1, min_p=0), logits)


def test_banned_ids_are_removed_and_no_other():
    for logits in random_logits(5):
        assert kept(suppress(logits, (3, 7, 3))) == set(range(12)) - {3, 7}
        assert suppress(logits, ()) is logits


@pytest.mark.parametrize("ids", [(12,), (0, -1), tuple(range(12))])
def test_ids_that_cannot_be_banned_are_a_sentence(ids):
    with pytest.raises(ConfigurationError, match=r"\.$"):
        suppress(random_logits(1)[0], ids)
