import itertools
import math

import pytest
import torch

from valle.synthesis.options import SamplingOptions
from valle.synthesis.sampling import REMOVED, draw, keep_top_k, keep_top_p, penalize_repetition, sample_frame


def random_logits(count, size=12):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(count)) * 2


def kept(logits):
    return {index for index, value in enumerate(logits.tolist()) if value != REMOVED}


@pytest.mark.parametrize("k", [1, 3, 12, 40])
def test_top_k_keeps_the_k_largest(k):
    for logits in random_logits(20):
        order = sorted(range(12), key=lambda index: -float(logits[index]))
        filtered = keep_top_k(logits, k)
        assert kept(filtered) == set(order[:k])
        assert all(filtered[index] == logits[index] for index in order[:k])


@pytest.mark.parametrize("p", [0.01, 0.3, 0.7, 0.95, 1.0])
def test_top_p_keeps_the_smallest_set_of_likeliest_entries_that_reaches_p(p):
    for logits in random_logits(20):
        probabilities = [math.exp(value) for value in logits.tolist()]
        total = sum(probabilities)
        order = sorted(range(12), key=lambda index: -probabilities[index])
        expected, reached = set(), 0.0
        for index in order:
            if reached >= p:
                break
            expected.add(index)
            reached += probabilities[index] / total
        assert kept(keep_top_p(logits, p)) == expected


def test_a_repetition_penalty_divides_the_odds_once_per_occurrence_whatever_the_sign():
    logits = torch.tensor([2.0, -3.0, 0.5, 1.0])
    recent = torch.tensor([0, 1, 1, 3])
    penalized = penalize_repetition(logits, recent, 2.0)
    odds = logits.exp() / torch.tensor([2.0, 4.0, 1.0, 2.0])
    torch.testing.assert_close(penalized.exp(), odds)
    assert torch.equal(penalize_repetition(logits, recent, 1.0), logits)
    assert torch.equal(penalize_repetition(logits, recent[:0], 2.0), logits)


def test_no_sampler_writes_into_its_logits():
    logits = random_logits(1)[0]
    before = logits.clone()
    options = SamplingOptions(temperature=0.7, top_k=5, top_p=0.8, repetition_penalty=1.5)
    for _ in range(3):
        keep_top_k(logits, 3)
        keep_top_p(logits, 0.5)
        penalize_repetition(logits, torch.tensor([1, 2]), 1.3)
        sample_frame(logits, torch.tensor([1, 2]), options, torch.Generator())
        draw(logits[None], 0.9, torch.Generator())
    assert torch.equal(logits, before)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax_of_the_tempered_logits(temperature):
    logits = torch.tensor([1.0, 0.0, -1.0, 2.0, REMOVED])
    drawn = draw(logits.expand(40_000, 5), temperature, torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=5) / 40_000
    assert (shares - (logits / temperature).softmax(-1)).abs().max() < 0.01
    assert shares[4] == 0


def test_temperature_zero_takes_the_likeliest():
    logits = random_logits(30)
    assert torch.equal(draw(logits, 0.0, torch.Generator()), logits.argmax(-1))
    for row in logits:
        assert sample_frame(
            row, torch.tensor([], dtype=torch.long), SamplingOptions(temperature=0), torch.Generator()
        ) == (row.argmax())


def test_filters_act_on_the_tempered_distribution_in_the_documented_order():
    logits = torch.tensor([3.0, 2.0, 1.0, 0.0])
    options = SamplingOptions(temperature=2.0, top_k=3, top_p=0.75)
    tempered = (logits / 2)[:3].softmax(-1).tolist()
    assert tempered[0] < 0.75 <= tempered[0] + tempered[1]
    generator = torch.Generator().manual_seed(0)
    drawn = {sample_frame(logits, torch.tensor([], dtype=torch.long), options, generator) for _ in range(300)}
    assert drawn == {0, 1}


def test_the_penalty_looks_back_no_further_than_its_window():
    logits = torch.tensor([1.0, 0.9])
    options = SamplingOptions(temperature=0, repetition_penalty=3.0, repetition_window=2)
    for recent, expected in {(0, 0, 1): 0, (1, 0, 0): 1, (0, 1, 1): 0}.items():
        assert sample_frame(logits, torch.tensor(recent), options, torch.Generator()) == expected


def test_a_draw_consumes_one_number_per_row_so_filters_do_not_shift_later_draws():
    for k, p in itertools.product((1, 5), (0.5, 1.0)):
        generator = torch.Generator().manual_seed(1)
        sample_frame(random_logits(1)[0], torch.tensor([1]), SamplingOptions(top_k=k, top_p=p), generator)
        assert float(torch.rand(1, generator=generator, dtype=torch.float64)) == pytest.approx(
            float(torch.rand(2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)[1])
        )
