"""Beam search against the search of every sequence, with a toy model whose logits depend on all codes before."""

import itertools
from functools import cache

import pytest
import torch

from valle.synthesis.options import BeamOptions
from valle.synthesis.samplers.beam import best, is_over, start_beams, step
from valle.synthesis.samplers.filters import REMOVED

STOP = 3
NOTHING = torch.tensor([], dtype=torch.long)


@cache
def every_beam(frames, **options):
    """As many beams as there are codes of so many frames: more than an option may ask for."""
    return BeamOptions.model_construct(**{**BeamOptions(**options).model_dump(), "width": 3**frames})


def toy_logits(codes, seed=0):
    """Logits [4] after a tuple of codes: the same for the same codes."""
    number = seed
    for code in codes:
        number = number * 5 + code + 1
    return torch.randn(STOP + 1, generator=torch.Generator().manual_seed(number)) * 0.5


@cache
def log_probabilities(codes, seed):
    return toy_logits(codes, seed).double().log_softmax(-1)


def score_of(codes, seed, *, with_stop, given=0):
    said = (*codes, STOP) if with_stop else tuple(codes)
    return sum(float(log_probabilities(said[:place], seed)[said[place]]) for place in range(given, len(said)))


def normalised(codes, exponent, seed, max_frames):
    """The score over the length to the power of the exponent; a sequence of the most frames has not ended."""
    has_stop = len(codes) < max_frames
    return score_of(codes, seed, with_stop=has_stop) / (len(codes) + has_stop) ** exponent


def exhaustive(max_frames, exponent, seed):
    """The best of all sequences."""
    everything = (codes for length in range(max_frames + 1) for codes in itertools.product(range(STOP), repeat=length))
    return max(everything, key=lambda codes: normalised(codes, exponent, seed, max_frames))


def search(max_frames, options, seed=0, given=NOTHING):
    beams = start_beams(given, options)
    while not is_over(beams, max_frames):
        logits = torch.stack([toy_logits(tuple(history.tolist()), seed) for history in beams.histories])
        before = beams.histories
        beams, parents = step(beams, logits, STOP)
        assert torch.equal(beams.histories[:, :-1], before[parents])
    return beams


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(6))
def test_beams_as_wide_as_everything_find_what_the_exhaustive_search_finds(seed, exponent):
    found = best(search(5, every_beam(5, length_exponent=exponent), seed))
    expected = exhaustive(5, exponent, seed)
    assert tuple(found.codes.tolist()) == expected
    assert found.is_complete == (len(expected) < 5)
    assert found.score == pytest.approx(score_of(expected, seed, with_stop=found.is_complete))


@pytest.mark.parametrize("width", [1, 2, 4])
def test_every_score_is_the_sum_of_log_probabilities_and_none_is_better_than_the_exhaustive_one(width):
    for seed in range(8):
        beams = search(5, BeamOptions(width=width), seed)
        assert len(beams.histories) <= width
        for history, score in zip(beams.histories.tolist(), beams.scores.tolist(), strict=True):
            assert score == pytest.approx(score_of(history, seed, with_stop=False))
        for one in beams.finished:
            assert one.score == pytest.approx(score_of(one.codes.tolist(), seed, with_stop=True))
        top = normalised(exhaustive(5, 1.0, seed), 1.0, seed, 5)
        assert normalised(best(beams).codes.tolist(), 1.0, seed, 5) <= top + 1e-9


def test_a_wider_search_finds_what_a_greedy_one_misses():
    better = 0
    for seed in range(12):
        narrow, wide = (best(search(5, BeamOptions(width=width), seed)).codes.tolist() for width in (1, 8))
        better += normalised(wide, 1.0, seed, 5) > normalised(narrow, 1.0, seed, 5) + 1e-9
    assert better >= 3


def test_one_beam_without_an_end_is_the_greedy_sequence():
    beams, codes = start_beams(NOTHING, BeamOptions(width=1)), []
    for _ in range(6):
        logits = toy_logits(tuple(codes)).index_fill(0, torch.tensor([STOP]), REMOVED)
        beams, parents = step(beams, logits[None], STOP)
        codes.append(int(logits.argmax()))
        assert parents.tolist() == [0]
    found = best(beams)
    assert found.codes.tolist() == codes
    assert not found.is_complete


def test_a_finished_beam_takes_no_place_of_a_live_one_and_is_kept():
    logits = torch.tensor([[0.0, -1.0, -2.0, 5.0]])
    beams, parents = step(start_beams(NOTHING, BeamOptions(width=2)), logits, STOP)
    assert beams.histories.tolist() == [[0], [1]]
    assert parents.tolist() == [0, 0]
    assert [one.codes.tolist() for one in beams.finished] == [[]]
    later, _ = step(beams, torch.zeros(2, 4), STOP)
    assert best(later).codes.tolist() == []


def test_codes_that_were_given_count_neither_for_the_score_nor_for_the_length():
    given = torch.tensor([2, 0, 1])
    found = best(search(8, every_beam(5), given=given))
    assert found.codes[:3].tolist() == [2, 0, 1]
    assert found.score == pytest.approx(score_of(found.codes.tolist(), 0, with_stop=found.is_complete, given=3))
    beams = search(8, every_beam(5), given=given)
    means = [one.score / (len(one.codes) - 3 + 1) for one in beams.finished]
    assert means == sorted(means, reverse=True)


def test_a_larger_exponent_gives_no_shorter_speech():
    for seed in range(8):
        lengths = [
            len(best(search(6, every_beam(4, length_exponent=exponent), seed)).codes) for exponent in (0.0, 1.0, 3.0)
        ]
        assert lengths == sorted(lengths)


def test_a_cut_search_gives_its_live_beam_rather_than_an_end_that_was_never_likely():
    beams = start_beams(NOTHING, BeamOptions(width=2))
    for _ in range(4):
        beams, _ = step(beams, torch.tensor([[9.0, 0.0, 0.0, -9.0]]).expand(len(beams.histories), 4), STOP)
    assert best(beams).codes.tolist() == [0, 0, 0, 0]
    assert not best(beams).is_complete
    assert len(beams.finished) == 2


def test_removed_codes_start_no_beam_and_a_search_without_any_is_over():
    beams, _ = step(start_beams(NOTHING, BeamOptions(width=3)), torch.tensor([[1.0, REMOVED, REMOVED, 0.0]]), STOP)
    assert beams.histories.tolist() == [[0]]
    ended, parents = step(beams, torch.tensor([[REMOVED, REMOVED, REMOVED, 0.0]]), STOP)
    assert len(parents) == 0
    assert is_over(ended, 100)
    assert best(ended).is_complete
