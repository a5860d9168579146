"""The whole way from the logits of a frame to its code."""

import itertools

import pytest
import torch

from valle.synthesis.options import DryOptions, SamplingOptions
from valle.synthesis.sampling import penalize, sample_frame, start

STOP = 11
NOTHING = torch.tensor([], dtype=torch.long)


def random_logits(count, size=12, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) * 2


def sample(logits, history=NOTHING, generator=None, **options):
    chosen = SamplingOptions(**options)
    return sample_frame(logits, history, chosen, start(chosen), generator or torch.Generator(), stop=STOP)[0]


def test_temperature_zero_takes_the_likeliest_and_draws_nothing():
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    for row in random_logits(30):
        assert sample(row, generator=generator, temperature=0, top_k=3) == row.argmax()
    assert torch.equal(generator.get_state(), before)


def test_filters_act_on_the_tempered_distribution_in_the_documented_order():
    logits = torch.tensor([3.0, 2.0, 1.0, 0.0])
    tempered = (logits / 2)[:3].softmax(-1).tolist()
    assert tempered[0] < 0.75 <= tempered[0] + tempered[1]
    generator = torch.Generator().manual_seed(0)
    options = SamplingOptions(temperature=2.0, top_k=3, top_p=0.75)
    drawn = {sample_frame(logits, NOTHING, options, start(options), generator, stop=3)[0] for _ in range(300)}
    assert drawn == {0, 1}


def test_the_penalty_looks_back_no_further_than_its_window():
    logits = torch.full((12,), -9.0).index_copy(0, torch.tensor([0, 1]), torch.tensor([1.0, 0.9]))
    for recent, expected in {(0, 0, 1): 0, (1, 0, 0): 1, (0, 1, 1): 0}.items():
        chosen = sample(logits, torch.tensor(recent), temperature=0, repetition_penalty=3.0, repetition_window=2)
        assert chosen == expected


def test_the_window_of_the_penalty_is_75_frames_unless_told():
    logits = torch.zeros(12)
    history = torch.tensor([4] + [5] * 75)
    penalized = penalize(logits, history, options=SamplingOptions(repetition_penalty=2.0), stop=STOP)
    assert penalized[4] == 0
    assert penalized[5] < 0


def test_a_draw_consumes_one_number_per_row_so_filters_do_not_shift_later_draws():
    for k, p in itertools.product((1, 5), (0.5, 1.0)):
        generator = torch.Generator().manual_seed(1)
        sample(random_logits(1)[0], torch.tensor([1]), generator, top_k=k, top_p=p)
        assert float(torch.rand(1, generator=generator, dtype=torch.float64)) == pytest.approx(
            float(torch.rand(2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)[1])
        )


def test_no_option_writes_into_the_logits_or_the_history():
    everything = [
        {"temperature": 0.7, "min_temperature": 0.2, "top_k": 5, "top_p": 0.8, "min_p": 0.05, "top_sigma": 2.0},
        {"repetition_penalty": 1.5, "repetition_decay": 1.0, "length_penalty": 0.5, "suppressed_codes": (3,)},
        {"dry": DryOptions(multiplier=1.0, allowed_length=1)},
        {"mirostat": {"tau": 2.0}},
        {"adaptive": {"enabled": True}},
        {"repetition_aware": {"window": 3}},
    ]
    logits, history = random_logits(1)[0], torch.tensor([1, 2, 1, 2, 1])
    before = logits.clone(), history.clone()
    for options in everything:
        sample(logits, history, **options)
    assert torch.equal(logits, before[0])
    assert torch.equal(history, before[1])


def test_no_temperature_is_too_small_to_draw_with():
    for row in random_logits(10):
        assert sample(row, temperature=1e-300, top_p=0.9) == row.argmax()
