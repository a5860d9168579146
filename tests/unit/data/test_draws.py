import numpy as np
import pytest

from tests.unit.data.fixtures import draw_options, make_items
from valle.data.curriculum import LevelCurriculum, level_weights
from valle.data.draws import TRAINED, draw_rows, lengths_of
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
    drawn = (
        np.bincount(draw_rows(items, draw_options(curriculum=LevelCurriculum.constant(weights)), 0).level, minlength=8)
        / 4000
    )
    assert np.abs(drawn - weights).max() < 0.03


@pytest.mark.parametrize("law", ["equal", (1, 2), (0,) * 8, (1, -1, 0, 0, 0, 0, 0, 0)])
def test_a_law_that_makes_no_sense_is_refused(law):
    with pytest.raises(ConfigurationError):
        level_weights(law, 8)


def test_a_curriculum_goes_from_one_law_to_another_between_two_epochs():
    early, late = level_weights("triangular", 8), level_weights("uniform", 8)
    curriculum = LevelCurriculum(early, late, first=2, last=6)
    assert curriculum.weights(0) == curriculum.weights(2) == early
    assert curriculum.weights(4) == pytest.approx((np.array(early) + late) / 2)
    assert curriculum.weights(6) == curriculum.weights(1000) == late
    items = make_items(4000, seconds=np.full(4000, 2.0))
    drawn = [draw_rows(items, draw_options(curriculum=curriculum), epoch).level for epoch in (0, 9)]
    assert [round((level == 7).mean(), 2) for level in drawn] == pytest.approx([1 / 36, 1 / 8], abs=0.02)


def layouts_of(draws):
    return np.array([TRAINED[number].name for number in draws.layout])


def test_tasks_and_modes_come_as_often_as_was_asked_for():
    items = make_items(6000, seconds=np.full(6000, 2.0))
    options = draw_options(masked_share=0.4, continuation_share=0.1, length_share=0.2, transcription_share=0.05)
    draws = draw_rows(items, options, 0)
    names = layouts_of(draws)
    tasks = {task: np.mean([name.startswith(f"{task}/") for name in names]) for task in ("tts", "tts-c", "len", "stt")}
    assert tasks == pytest.approx({"tts": 0.65, "tts-c": 0.1, "len": 0.2, "stt": 0.05}, abs=0.02)
    speech = np.char.startswith(names.astype(str), "tts")
    assert {name.split("/")[1] for name in names[speech & (draws.level > 0)]} == {"nar"}
    first = names[speech & (draws.level == 0)]
    assert np.mean([name.endswith("nar-len") for name in first]) == pytest.approx(0.4, abs=0.04)
    assert (draws.level[~speech] == 0).all()


def test_without_a_share_a_task_never_comes():
    assert set(layouts_of(draw_rows(make_items(500), draw_options(), 0))) == {"tts/ar", "tts/nar"}


def test_a_continuation_begins_where_its_prompt_ends():
    items = make_items(500)
    draws = draw_rows(items, draw_options(continuation_share=1.0), 0)
    assert (draws.prompt_item == draws.item).all()
    assert (draws.prompt_start == 0).all()
    assert (draws.prompt_frames == draws.target_start).all()
    assert (draws.prompt_frames <= items.num_frames[draws.item] // 2).all()
    assert (draws.prompt_frames > 0).all()


def test_rows_without_a_condition_have_neither_text_nor_prompt():
    items = make_items(4000)
    draws = draw_rows(items, draw_options(condition_dropout=0.2, prompt_dropout=0.3), 0)
    assert (~draws.has_text).mean() == pytest.approx(0.2, abs=0.02)
    assert (draws.prompt_item[~draws.has_text] == -1).all()
    assert (draws.prompt_item == -1).mean() == pytest.approx(0.5, abs=0.03)
    lengths = lengths_of(items, draws, TRAINED[0])
    assert (lengths["text"][~draws.has_text] == 0).all()


@pytest.mark.parametrize("ratio", [0.1, 0.8])
def test_masks_hide_their_share_and_are_drawn_anew_for_each_row_and_epoch(ratio):
    items = make_items(200, seconds=np.full(200, 4.0))
    first, again, other = (draw_rows(items, draw_options(mask_ratio=ratio), epoch) for epoch in (0, 0, 1))
    masks = np.stack([first.masked(row, 300) for row in range(200)])
    assert masks.mean() == pytest.approx(ratio, abs=0.01)
    assert (masks == np.stack([again.masked(row, 300) for row in range(200)])).all()
    assert (masks != np.stack([other.masked(row, 300) for row in range(200)])).any(1).all()
    assert len(np.unique(masks, axis=0)) == 200


def test_a_mask_hides_at_least_one_frame_and_a_random_ratio_follows_the_cosine():
    items = make_items(2000, seconds=np.full(2000, 0.6))
    draws = draw_rows(items, draw_options(mask_ratio=0.0), 0)
    assert draws.mask_ratio.mean() == pytest.approx(2 / np.pi, abs=0.03)
    assert min(draws.masked(row, 5).sum() for row in range(500)) == 1


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


def test_prompts_are_similar_clips_as_often_as_asked_for_where_such_are_known():
    similar = [["s2", "elsewhere", "s3"], ["s4"], *[None] * 5, ["elsewhere"]]
    items = make_items(8, num_speakers=1, similar=similar)
    assert items.similar.tolist() == [[2, 3], [4, -1], *[[-1, -1]] * 6]
    options = draw_options(prompt_dropout=0.0, similar_share=0.75)
    prompts = np.stack([draw_rows(items, options, epoch).prompt_item for epoch in range(400)])
    assert (prompts != np.arange(8)).all()
    chance = 0.25 / 7
    assert np.mean(prompts[:, 0] == 2) == pytest.approx(0.375 + chance, abs=0.07)
    assert np.mean(prompts[:, 0] == 3) == pytest.approx(0.375 + chance, abs=0.07)
    assert np.mean(prompts[:, 1] == 4) == pytest.approx(0.75 + chance, abs=0.07)
    assert len(np.unique(prompts[:, 5])) == len(np.unique(prompts[:, 7])) == 7


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
