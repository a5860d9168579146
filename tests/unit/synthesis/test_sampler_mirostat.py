import math
import random

import pytest
import torch

from valle.synthesis.options import MirostatOptions, SamplingOptions
from valle.synthesis.samplers.filters import REMOVED
from valle.synthesis.samplers.mirostat import MirostatState, choose_k, draw_mirostat, start_mirostat, zipf_exponent
from valle.synthesis.sampling import sample_frame, start


def zipf(exponent, size=400):
    """Logits of Zipf's law, shuffled."""
    ranks = list(range(1, size + 1))
    random.Random(0).shuffle(ranks)
    return -exponent * torch.tensor(ranks, dtype=torch.float64).log()


def slow_k(logits, mu):
    """Algorithm 1 of the paper, number by number."""
    weights = [math.exp(value) for value in logits.tolist()]
    ordered = sorted((weight / sum(weights) for weight in weights), reverse=True)
    above = below = 0.0
    for rank in range(1, min(100, len(ordered) - 1) + 1):
        step = math.log((rank + 1) / rank)
        above += step * math.log(ordered[rank - 1] / ordered[rank])
        below += step * step
    exponent = above / below
    excess = exponent - 1
    k = (excess * 2**mu / (1 - len(ordered) ** -excess)) ** (1 / exponent)
    return max(1, min(len(ordered), round(k)))


@pytest.mark.parametrize("mu", [0.5, 2.0, 4.0, 7.0])
def test_k_is_that_of_the_paper(mu):
    for seed in range(10):
        logits = torch.randn(150, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * (1 + seed / 4)
        ordered = logits.log_softmax(-1).sort(descending=True).values
        assert choose_k(zipf_exponent(ordered), mu, size=150) == slow_k(logits, mu)


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.7])
def test_the_exponent_of_zipfs_law_is_found_whatever_was_removed(exponent):
    ordered = zipf(exponent).sort(descending=True).values
    assert zipf_exponent(ordered) == pytest.approx(exponent, rel=1e-6)
    fewer = torch.cat([ordered[:50], torch.full((350,), REMOVED)])
    assert zipf_exponent(fewer) == pytest.approx(exponent, rel=1e-6)


def test_k_is_possible_for_every_distribution():
    for logits in (
        torch.zeros(20),
        torch.tensor([5.0] + [REMOVED] * 19),
        torch.tensor([500.0, -500.0] + [0.0] * 18),
        zipf(1.0, 20),
        zipf(1e-4, 20),
    ):
        ordered = logits.double().log_softmax(-1).sort(descending=True).values
        size = int(ordered.isfinite().sum())
        for mu in (-50.0, 0.0, 3.0, 200.0):
            assert 1 <= choose_k(zipf_exponent(ordered), mu, size=size) <= size
        code, _ = draw_mirostat(logits, MirostatState(4.0), options=MirostatOptions(tau=2), generator=torch.Generator())
        assert logits[code] > REMOVED


def test_the_state_begins_at_twice_the_aim_and_moves_by_eta_times_the_miss():
    options = MirostatOptions(tau=3.0, eta=0.25)
    assert start_mirostat(options) == MirostatState(6.0)
    logits = zipf(1.2)
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        code, state = draw_mirostat(logits, MirostatState(5.0), options=options, generator=generator)
        surprise = -math.log2(float(logits.softmax(-1)[code]))
        assert state.mu == pytest.approx(5.0 - 0.25 * (surprise - 3.0))


@pytest.mark.parametrize("tau", [3.0, 4.0, 5.0])
def test_the_mean_surprise_comes_to_the_aim(tau):
    options = MirostatOptions(tau=tau, eta=0.1)
    logits, state, generator = zipf(1.1), start_mirostat(options), torch.Generator().manual_seed(0)
    surprises = []
    for _ in range(600):
        code, state = draw_mirostat(logits, state, options=options, generator=generator)
        surprises.append(-math.log2(float(logits.softmax(-1)[code])))
    assert sum(surprises[100:]) / 500 == pytest.approx(tau, abs=0.15)


def test_two_rows_in_turn_are_what_each_is_alone():
    options = SamplingOptions(mirostat=MirostatOptions(tau=2.5))
    rows = [zipf(1.1, 60), zipf(0.7, 60)]
    alone = []
    for logits in rows:
        generator, state, codes = torch.Generator().manual_seed(3), start(options), []
        for _ in range(40):
            code, state = sample_frame(logits, torch.tensor(codes).long(), options, state, generator, stop=59)
            codes.append(code)
        alone.append(codes)
    together, states = [[], []], [start(options), start(options)]
    generators = [torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)]
    for _ in range(40):
        for row, logits in enumerate(rows):
            history = torch.tensor(together[row]).long()
            code, states[row] = sample_frame(logits, history, options, states[row], generators[row], stop=59)
            together[row].append(code)
    assert together == alone
    assert states[0] != states[1]
