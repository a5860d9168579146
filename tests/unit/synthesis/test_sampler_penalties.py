import pytest
import torch

from valle.synthesis.options import DryOptions
from valle.synthesis.samplers.penalties import (
    LONGEST_MATCH,
    penalize_continuation,
    penalize_length,
    penalize_repetition,
)


def random_logits(seed, size=6):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 2


def random_history(seed, length, size=6):
    return torch.randint(size, (length,), generator=torch.Generator().manual_seed(seed))


def repeating_history(seed, size):
    """Something, and after some more the beginning of it again."""
    history = random_history(seed, 3 * seed + 1, size)
    return torch.cat([history[: 2 * seed], history[seed % 3 : seed % 7 + seed % 3]])


@pytest.mark.parametrize("decay", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("length", [0, 1, 7, 40])
def test_a_repetition_penalty_divides_the_odds_once_per_occurrence_the_less_the_longer_ago(decay, length):
    for seed in range(5):
        logits, recent = random_logits(seed), random_history(seed, length)
        odds = logits.double().exp()
        for place, code in enumerate(recent.tolist()):
            odds[code] /= 1.3 ** (1 / (length - place) ** decay)
        penalized = penalize_repetition(logits, recent, 1.3, decay=decay)
        torch.testing.assert_close(penalized.double().exp(), odds, rtol=1e-4, atol=0)


def test_a_repetition_penalty_makes_no_code_likelier_whatever_the_sign_of_its_logit():
    logits = torch.tensor([2.0, -3.0, 0.5, -1.0])
    penalized = penalize_repetition(logits, torch.tensor([0, 1, 1]), 2.0, decay=0.5)
    assert (penalized[:2] < logits[:2]).all()
    assert torch.equal(penalized[2:], logits[2:])
    assert torch.equal(penalize_repetition(logits, torch.tensor([0, 1]), 1.0), logits)


@pytest.mark.parametrize("level", [-4.0, 0.0, 4.0])
@pytest.mark.parametrize("exponent", [-2.0, -0.3, 0.0, 0.7])
def test_a_length_penalty_divides_the_odds_of_the_end_whatever_the_sign_of_its_logit(level, exponent):
    logits = random_logits(0) + level
    for num_frames in (0, 1, 2, 300):
        penalized = penalize_length(logits, 4, num_frames, exponent)
        odds = logits.double().exp()
        odds[4] /= max(num_frames, 1) ** exponent
        torch.testing.assert_close(penalized.double().exp(), odds, rtol=1e-4, atol=0)


def slow_dry(logits, history, options):
    """Try every code, every index at which it occurred, every length of a match before that index."""
    penalized = logits.clone()
    history = history.tolist()
    for code in range(len(logits)):
        longest = 0
        for place in (place for place, said in enumerate(history) if said == code):
            for length in range(1, min(place, LONGEST_MATCH) + 1):
                if history[place - length : place] == history[len(history) - length :]:
                    longest = max(longest, length)
        if longest >= options.allowed_length:
            penalized[code] -= options.multiplier * options.base ** (longest - options.allowed_length)
    return penalized


@pytest.mark.parametrize("allowed_length", [1, 2, 4])
@pytest.mark.parametrize("size", [2, 3, 6])
def test_dry_penalizes_codes_that_go_on_with_a_repetition_as_the_slow_search_does(size, allowed_length):
    options = DryOptions(multiplier=0.8, base=1.75, allowed_length=allowed_length)
    penalized_any = False
    for seed in range(25):
        logits, history = random_logits(seed, size), repeating_history(seed, size)
        penalized = penalize_continuation(logits, history, options)
        torch.testing.assert_close(penalized, slow_dry(logits, history, options))
        penalized_any |= not torch.equal(penalized, logits)
    assert penalized_any


def test_dry_counts_a_match_up_to_its_cap_and_stays_finite():
    options = DryOptions(multiplier=1.0, base=1.1, allowed_length=1)
    history = torch.tensor([3, 1, 2] * 400)
    logits = penalize_continuation(torch.zeros(6), history, options)
    assert logits[3] == pytest.approx(-(1.1 ** (LONGEST_MATCH - 1)), rel=1e-5)
    assert logits[[0, 1, 2, 4, 5]].eq(0).all()
    torch.testing.assert_close(logits, slow_dry(torch.zeros(6), history[:300], options))


def test_dry_finds_a_match_behind_places_that_do_not_match():
    # After "1 2" came 3, and later 4; in between are places where nothing matches.
    history = torch.tensor([5, 1, 2, 3, 0, 1, 2, 4, 1, 2])
    penalized = penalize_continuation(torch.zeros(6), history, DryOptions(multiplier=1.0, allowed_length=2))
    assert {code for code in range(6) if penalized[code] < 0} == {3, 4}


@pytest.mark.parametrize("history", [[], [1], [1, 2]])
def test_dry_has_nothing_to_say_about_a_short_history(history):
    logits = random_logits(1)
    options = DryOptions(multiplier=1.0, allowed_length=1)
    assert torch.equal(penalize_continuation(logits, torch.tensor(history, dtype=torch.long), options), logits)
