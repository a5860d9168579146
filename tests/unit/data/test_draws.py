import numpy as np
import pytest

from tests.unit.data.fixtures import draw_options, make_items
from valle.data.draws import draw_rows, level_weights
from valle.data.keyed import Purpose, uniform
from warehouse.errors import ConfigurationError


def test_keyed_numbers_are_uniform_and_independent_between_purposes():
    items = np.arange(20_000)
    first = uniform(0, 0, Purpose.LEVEL, items)
    second = uniform(0, 0, Purpose.PROMPT_ITEM, items)
    assert first.min() >= 0
    assert first.max() < 1
    assert np.abs(np.histogram(first, 20, (0, 1))[0] - 1000).max() < 150
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03


def test_a_keyed_number_depends_on_each_part_of_its_key_and_on_nothing_else():
    items = np.arange(5)
    base = uniform(1, 2, Purpose.LEVEL, items, 3)
    assert (uniform(1, 2, Purpose.LEVEL, items[3:], 3) == base[3:]).all()
    for other in [
        (0, 2, Purpose.LEVEL, 3),
        (1, 0, Purpose.LEVEL, 3),
        (1, 2, Purpose.COPIES, 3),
        (1, 2, Purpose.LEVEL, 0),
    ]:
        seed, epoch, purpose, copy = other
        assert (uniform(seed, epoch, purpose, items, copy) != base).all()


def test_keyed_numbers_are_the_same_on_every_machine():
    # SplitMix64 in plain integers; its first output for seed 0 is published as e220a8397b1dcdaf.
    def mixed(state):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        return state ^ state >> 31

    assert mixed(0) == 0xE220A8397B1DCDAF
    for item in (0, 1, 10**12):
        state = 0
        for key in (1, 2, int(Purpose.LEVEL), 0, item):
            state = mixed(state ^ key)
        assert uniform(1, 2, Purpose.LEVEL, np.array([item]))[0] == (state >> 11) / 2**53


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ("triangular", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("uniform", [1] * 8),
        ("bell", [1, 2, 4, 8, 8, 4, 2, 1]),
        ((1, 0, 0, 0, 0, 0, 0, 1), [1, 0, 0, 0, 0, 0, 0, 1]),
    ],
)
def test_levels_are_drawn_by_the_law_that_was_asked_for(law, expected):
    weights = level_weights(law, 8)
    assert weights == pytest.approx(np.array(expected) / sum(expected))
    items = make_items(4000, seconds=np.full(4000, 2.0))
    drawn = np.bincount(draw_rows(items, draw_options(level_weights=weights), 0).level, minlength=8) / 4000
    assert np.abs(drawn - weights).max() < 0.03


@pytest.mark.parametrize("law", ["equal", (1, 2), (0,) * 8, (1, -1, 0, 0, 0, 0, 0, 0)])
def test_a_law_that_makes_no_sense_is_refused(law):
    with pytest.raises(ConfigurationError):
        level_weights(law, 8)


def test_a_prompt_is_another_utterance_of_the_same_speaker_within_its_bounds():
    items = make_items(2000)
    draws = draw_rows(items, draw_options(), 0)
    has = draws.prompt_item >= 0
    prompt, item = draws.prompt_item[has], draws.item[has]
    assert (items.speaker[prompt] == items.speaker[item]).all()
    assert (prompt != item).all()
    frames, available = draws.prompt_frames[has], items.num_frames[prompt]
    assert (frames <= 450).all()
    assert ((frames >= 225) | (frames == available)).all()
    assert (draws.prompt_start[has] >= 0).all()
    assert (draws.prompt_start[has] + frames <= available).all()
    assert abs(1 - has.mean() - 0.1) < 0.03
    assert (draws.prompt_frames[~has] == 0).all()


def test_every_other_utterance_of_a_speaker_can_be_the_prompt():
    items = make_items(6, num_speakers=1)
    seen = {item: set() for item in range(6)}
    for epoch in range(150):
        draws = draw_rows(items, draw_options(), epoch)
        for item, prompt in zip(draws.item, draws.prompt_item, strict=True):
            seen[int(item)].add(int(prompt))
    assert seen == {item: {-1, *range(6)} - {item} for item in range(6)}


def test_a_speaker_with_one_utterance_gets_no_prompt():
    items = make_items(1)
    assert draw_rows(items, draw_options(prompt_dropout=0.0), 0).prompt_item.tolist() == [-1]


def test_weights_say_how_often_an_item_comes_per_epoch():
    weight = np.array([0.0, 0.25, 1.0, 2.5] * 10)
    items = make_items(40, weight=weight, seconds=np.full(40, 2.0))
    counts = np.zeros(40)
    for epoch in range(150):
        counts += np.bincount(draw_rows(items, draw_options(), epoch).item, minlength=40)
    assert (counts[weight == 0] == 0).all()
    assert (counts[weight == 1] == 150).all()
    assert np.abs(counts / 150 - weight).max() < 0.15


def test_copies_of_an_item_get_draws_of_their_own():
    items = make_items(200, weight=2.0, num_speakers=2)
    draws = draw_rows(items, draw_options(), 0)
    first, second = draws.copy == 0, draws.copy == 1
    assert (draws.item[first] == draws.item[second]).all()
    assert (draws.prompt_item[first] != draws.prompt_item[second]).mean() > 0.8


def test_an_epoch_is_drawn_the_same_way_twice_and_differently_from_the_next():
    items = make_items(300)
    first, again, other = (draw_rows(items, draw_options(), epoch) for epoch in (5, 5, 6))
    for name in ("item", "level", "prompt_item", "prompt_start", "prompt_frames"):
        assert (getattr(first, name) == getattr(again, name)).all()
    assert (first.prompt_item != other.prompt_item).any()
