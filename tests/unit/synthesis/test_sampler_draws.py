import math

import pytest
import torch

from valle.synthesis.options import RepetitionAwareOptions
from valle.synthesis.samplers.draws import (
    draw,
    draw_likeliest_of,
    dynamic_temperature,
    redraw_repetition,
    scale_by_temperature,
)
from valle.synthesis.samplers.filters import REMOVED, keep_top_p


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_logits(count, size=12):
    return torch.randn(count, size, generator=seeded(count)) * 2


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax_of_the_tempered_logits(temperature):
    logits = torch.tensor([1.0, 0.0, -1.0, 2.0, REMOVED])
    drawn = draw(logits.expand(40_000, 5), temperature, seeded())
    shares = torch.bincount(drawn, minlength=5) / 40_000
    assert (shares - (logits / temperature).softmax(-1)).abs().max() < 0.01
    assert shares[4] == 0


def test_temperature_zero_takes_the_likeliest():
    logits = random_logits(30)
    assert torch.equal(draw(logits, 0.0, seeded()), logits.argmax(-1))


def test_tempered_logits_are_the_same_distribution_as_logits_over_the_temperature():
    for logits in random_logits(10):
        for temperature in (0.3, 1.0, 4.0):
            weights = [math.exp(value / temperature) for value in logits.tolist()]
            expected = torch.tensor([weight / sum(weights) for weight in weights], dtype=torch.float64)
            torch.testing.assert_close(
                scale_by_temperature(logits, temperature).softmax(-1), expected, rtol=1e-5, atol=1e-9
            )


def test_a_dynamic_temperature_falls_from_highest_to_lowest_as_the_likeliest_gets_surer():
    temperatures = []
    for sureness in (0.0, 1.0, 2.0, 4.0, 20.0):
        logits = torch.zeros(12)
        logits[3] = sureness
        probability = math.exp(sureness) / (math.exp(sureness) + 11)
        expected = 0.9 - (0.9 - 0.2) / (1 + math.exp(-10 * (probability - 0.5)))
        temperatures.append(dynamic_temperature(logits, 0.9, 0.2))
        assert temperatures[-1] == pytest.approx(expected, rel=1e-5)
    assert temperatures == sorted(temperatures, reverse=True)
    assert 0.2 < temperatures[-1] < 0.21
    assert 0.88 < temperatures[0] < 0.9


def test_the_likeliest_of_several_draws_follows_the_distribution_of_the_largest():
    logits = torch.tensor([0.3, 1.0, 0.0, REMOVED]).log_softmax(-1)
    order = [1, 0, 2]  # likeliest first
    generator = seeded()
    drawn = [draw_likeliest_of(logits, 3, generator) for _ in range(3000)]
    rest = 1.0
    for code in order:
        after = rest - float(logits[code].exp())
        assert drawn.count(code) / 3000 == pytest.approx(rest**3 - max(after, 0) ** 3, abs=0.035)
        rest = after


@pytest.mark.parametrize(
    ("history", "is_drawn_again"),
    [
        ([], False),
        ([0, 0], False),  # 2 of 10: frames before the beginning count too
        ([0, 0, 0], True),
        ([0, 0, 0, 1, 1, 1, 1, 1, 1, 1], True),
        ([0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], False),  # one of the three is out of the window
        ([2, 2, 2, 2], False),
    ],
)
def test_a_code_is_drawn_again_when_its_share_of_the_last_frames_is_above_the_threshold(history, is_drawn_again):
    only_other = torch.tensor([REMOVED, 0.0, REMOVED])
    options = RepetitionAwareOptions(window=10, threshold=0.2)
    said = torch.tensor(history, dtype=torch.long)
    code = redraw_repetition(0, said, only_other, options=options, generator=seeded())
    assert code == (1 if is_drawn_again else 0)


def test_repetition_aware_draws_follow_the_full_distribution_where_the_nucleus_repeats():
    logits = torch.tensor([2.0, 1.5, 1.0, 0.5])
    nucleus = keep_top_p(logits, 0.3)
    history = torch.zeros(10, dtype=torch.long)
    generator = seeded()
    options = RepetitionAwareOptions(window=10, threshold=0.1)
    drawn = []
    for _ in range(3000):
        code = int(draw(nucleus[None], 1.0, generator))
        drawn.append(redraw_repetition(code, history, logits, options=options, generator=generator))
    shares = torch.bincount(torch.tensor(drawn), minlength=4) / 3000
    assert (shares - logits.softmax(-1)).abs().max() < 0.03
    off = RepetitionAwareOptions()
    assert redraw_repetition(0, history, logits, options=off, generator=generator) == 0
