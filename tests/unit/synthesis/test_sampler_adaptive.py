import math

import pytest
import torch

from valle.synthesis.options import AdaptiveOptions
from valle.synthesis.samplers.adaptive import DrawParameters, Uncertainty, adapt, uncertainty
from valle.synthesis.samplers.filters import REMOVED

OPTIONS = AdaptiveOptions(enabled=True)
KNOBS = DrawParameters(temperature=0.6, top_k=40, top_p=0.9, min_p=0.1)


def test_entropy_and_varentropy_are_those_of_the_definition():
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 1.0, 5.0):
        for _ in range(10):
            logits = torch.randn(12, generator=generator) * scale
            weights = [math.exp(value) for value in logits.tolist()]
            probabilities = [weight / sum(weights) for weight in weights]
            entropy = -sum(p * math.log2(p) for p in probabilities)
            varentropy = sum(p * (-math.log2(p) - entropy) ** 2 for p in probabilities)
            found = uncertainty(logits)
            assert found.entropy == pytest.approx(entropy, rel=1e-5)
            assert found.varentropy == pytest.approx(varentropy, rel=1e-4, abs=1e-8)


def test_a_uniform_distribution_has_the_entropy_of_its_size_and_removed_entries_do_not_count():
    found = uncertainty(torch.tensor([1.0] * 8 + [REMOVED] * 5))
    assert found.entropy == pytest.approx(3)
    assert found.varentropy == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("entropy", "varentropy", "temperature", "top_p", "candidates"),
    [
        (0.05, 0.05, 0.0, 0.9, 1),  # certain: the likeliest
        (6.0, 0.05, 0.6 * 1.3, 0.9, 1),
        (3.0, 6.0, 0.6 * 1.2, 0.9, 1),
        (6.0, 6.0, 0.6 * 2.0, 0.7, 1),
        (1.0, 0.5, 0.6 * 1.45, 0.9, 5),  # in between: the likeliest of some
        (6.0, 3.0, 1.25, 0.9, 5),  # the temperature is capped
    ],
)
def test_each_kind_of_uncertainty_has_its_way_to_draw(entropy, varentropy, temperature, top_p, candidates):
    adapted = adapt(Uncertainty(entropy, varentropy), KNOBS, OPTIONS)
    assert adapted.temperature == pytest.approx(temperature)
    assert adapted.top_p == pytest.approx(top_p)
    assert adapted.num_candidates == candidates
    assert adapted.top_k == KNOBS.top_k


def test_adapted_knobs_stay_in_their_ranges_and_no_nucleus_gets_wider():
    for entropy in (0.0, 0.2, 4.0, 5.5, 9.0):
        for varentropy in (0.0, 0.2, 4.0, 5.5, 30.0):
            for knobs in (KNOBS, DrawParameters(0.01, 0, 1.0, 0.0), DrawParameters(9.0, 3, 0.2, 1.0)):
                adapted = adapt(Uncertainty(entropy, varentropy), knobs, OPTIONS)
                assert adapted.temperature == 0 or 0.5 <= adapted.temperature <= 1.25
                assert 0.1 <= adapted.top_p <= knobs.top_p
                assert 0 <= adapted.min_p <= 1


def test_the_thresholds_are_those_of_the_options():
    shifted = AdaptiveOptions(enabled=True, low_entropy=1.0, low_varentropy=1.0)
    assert adapt(Uncertainty(0.9, 0.9), KNOBS, shifted).temperature == 0
    assert adapt(Uncertainty(0.9, 0.9), KNOBS, OPTIONS).temperature > 0
