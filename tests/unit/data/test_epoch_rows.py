import numpy as np
import pytest

from tests.unit.data.fixtures import make_items, mask_of, rows_of_epoch
from valle.model.layout import Mode
from valle.tasks.base import MixtureKind
from valle.tasks.registry import TASKS
from valle.tasks.tts import TTS


def layouts_of(rows):
    return np.array([TASKS.layouts[number].name for number in rows.layout])


def test_tasks_and_modes_have_their_ratios():
    items = make_items(6000, seconds=np.full(6000, 2.0))
    mix = {"nar_len_ratio": 0.4, "continuation_ratio": 0.1, "length_ratio": 0.2, "transcription_ratio": 0.05}
    rows = rows_of_epoch(items, **mix)
    names = layouts_of(rows)
    tasks = {task: np.mean([name.startswith(f"{task}/") for name in names]) for task in ("tts", "tts-c", "len", "stt")}
    assert tasks == pytest.approx({"tts": 0.65, "tts-c": 0.1, "len": 0.2, "stt": 0.05}, abs=0.02)
    speech = np.char.startswith(names.astype(str), "tts")
    assert {name.split("/")[1] for name in names[speech & (rows.codebook > 0)]} == {"nar"}
    first = names[speech & (rows.codebook == 0)]
    assert np.mean([name.endswith("nar-len") for name in first]) == pytest.approx(0.4, abs=0.04)
    assert (rows.codebook[~speech] == 0).all()


def test_a_task_with_a_ratio_of_zero_never_comes():
    assert set(layouts_of(rows_of_epoch(make_items(500), 0))) == {"tts/ar", "tts/nar"}


def test_a_task_that_needs_a_mixture_takes_more_of_the_rows_that_have_it():
    items = make_items(10_000, mixed=True)  # a fifth each of four kinds and of none
    rows = rows_of_epoch(items, 0, conversion_ratio=0.1, extraction_ratio=0.6, transcription_ratio=0.3)
    tasks = np.array([name.split("/")[0] for name in layouts_of(rows)])
    kinds = items.mixture_kinds[rows.item]
    assert np.mean(tasks == "vc") == pytest.approx(0.1, abs=0.015)
    assert set(kinds[tasks == "vc"]) == {MixtureKind.VOICE}
    # All rows of two speakers are wanted by extraction, and three in ten of them by transcription.
    for kind, ratio in ((MixtureKind.SPEAKER, 0.3 / 1.3), (MixtureKind.NONE, 0.3)):
        assert np.mean(tasks[kinds == kind] == "stt") == pytest.approx(ratio, abs=0.03)
    assert np.mean(tasks[kinds == MixtureKind.SPEAKER] == "tse") > 0.65


def test_a_continuation_begins_where_its_prompt_ends():
    items = make_items(500)
    rows = rows_of_epoch(items, 0, continuation_ratio=1.0)
    assert (rows.prompt_item == rows.item).all()
    assert (rows.prompt_start == 0).all()
    assert (rows.prompt_frames == rows.target_start).all()
    assert (rows.prompt_frames <= items.num_frames[rows.item] // 2).all()
    assert (rows.prompt_frames > 0).all()


def test_rows_without_a_condition_have_neither_text_nor_prompt():
    items = make_items(4000)
    rows = rows_of_epoch(items, 0, condition_dropout=0.2, prompt_dropout=0.3)
    assert (~rows.has_text).mean() == pytest.approx(0.2, abs=0.02)
    assert (rows.prompt_item[~rows.has_text] == -1).all()
    assert (rows.prompt_item == -1).mean() == pytest.approx(0.5, abs=0.03)
    lengths = TTS.lengths(TTS.layout(Mode.AR), items, rows)
    assert (lengths["text"][~rows.has_text] == 0).all()


@pytest.mark.parametrize("ratio", [0.1, 0.8])
def test_masks_hide_their_ratio_and_differ_between_rows_and_epochs(ratio):
    items = make_items(200, seconds=np.full(200, 4.0))
    first, again, other = (rows_of_epoch(items, epoch, mask_ratio=ratio) for epoch in (0, 0, 1))
    masks = np.stack([mask_of(first, row, 300) for row in range(200)])
    assert masks.mean() == pytest.approx(ratio, abs=0.01)
    assert (masks == np.stack([mask_of(again, row, 300) for row in range(200)])).all()
    assert (masks != np.stack([mask_of(other, row, 300, epoch=1) for row in range(200)])).any(1).all()
    assert len(np.unique(masks, axis=0)) == 200


def test_a_mask_hides_at_least_one_frame_and_a_random_ratio_follows_the_cosine():
    items = make_items(2000, seconds=np.full(2000, 0.6))
    rows = rows_of_epoch(items, 0, mask_ratio=0.0)
    assert rows.mask_ratio.mean() == pytest.approx(2 / np.pi, abs=0.03)
    assert min(mask_of(rows, row, 5).sum() for row in range(500)) == 1


def test_a_prompt_is_another_utterance_of_the_same_speaker_within_its_bounds():
    items = make_items(2000)
    rows = rows_of_epoch(items, 0)
    has = rows.prompt_item >= 0
    prompt, item = rows.prompt_item[has], rows.item[has]
    assert (items.speaker[prompt] == items.speaker[item]).all()
    assert (prompt != item).all()
    frames, available = rows.prompt_frames[has], items.num_frames[prompt]
    assert (frames <= 450).all()
    assert ((frames >= 225) | (frames == available)).all()
    assert (rows.prompt_start[has] >= 0).all()
    assert (rows.prompt_start[has] + frames <= available).all()
    assert abs(1 - has.mean() - 0.1) < 0.03
    assert (rows.prompt_frames[~has] == 0).all()


def test_every_other_utterance_of_a_speaker_can_be_the_prompt():
    items = make_items(6, num_speakers=1)
    seen = {item: set() for item in range(6)}
    for epoch in range(150):
        rows = rows_of_epoch(items, epoch)
        for item, prompt in zip(rows.item, rows.prompt_item, strict=True):
            seen[int(item)].add(int(prompt))
    assert seen == {item: {-1, *range(6)} - {item} for item in range(6)}


def test_prompts_are_similar_clips_as_often_as_asked_for_where_such_are_known():
    similar = [["s2", "elsewhere", "s3"], ["s4"], *[None] * 5, ["elsewhere"]]
    items = make_items(8, num_speakers=1, similar=similar)
    assert items.similar.tolist() == [[2, 3], [4, -1], *[[-1, -1]] * 6]
    options = {"prompt_dropout": 0.0, "similar_prompt_ratio": 0.75}
    prompts = np.stack([rows_of_epoch(items, epoch, **options).prompt_item for epoch in range(400)])
    assert (prompts != np.arange(8)).all()
    chance = 0.25 / 7
    assert np.mean(prompts[:, 0] == 2) == pytest.approx(0.375 + chance, abs=0.07)
    assert np.mean(prompts[:, 0] == 3) == pytest.approx(0.375 + chance, abs=0.07)
    assert np.mean(prompts[:, 1] == 4) == pytest.approx(0.75 + chance, abs=0.07)
    assert len(np.unique(prompts[:, 5])) == len(np.unique(prompts[:, 7])) == 7


def test_a_speaker_with_one_utterance_gets_no_prompt():
    items = make_items(1)
    assert rows_of_epoch(items, 0, prompt_dropout=0.0).prompt_item.tolist() == [-1]


def test_weights_say_how_often_an_item_comes_per_epoch():
    weight = np.array([0.0, 0.25, 1.0, 2.5] * 10)
    items = make_items(40, weight=weight, seconds=np.full(40, 2.0))
    counts = np.zeros(40)
    for epoch in range(150):
        counts += np.bincount(rows_of_epoch(items, epoch).item, minlength=40)
    assert (counts[weight == 0] == 0).all()
    assert (counts[weight == 1] == 150).all()
    assert np.abs(counts / 150 - weight).max() < 0.15


def test_copies_of_an_item_are_sampled_independently():
    items = make_items(200, weight=2.0, num_speakers=2)
    rows = rows_of_epoch(items, 0)
    first, second = rows.copy == 0, rows.copy == 1
    assert (rows.item[first] == rows.item[second]).all()
    assert (rows.prompt_item[first] != rows.prompt_item[second]).mean() > 0.8


def test_an_epoch_is_sampled_the_same_way_twice_and_differently_from_the_next():
    items = make_items(300)
    first, again, other = (rows_of_epoch(items, epoch) for epoch in (5, 5, 6))
    for name in ("item", "codebook", "prompt_item", "prompt_start", "prompt_frames"):
        assert (getattr(first, name) == getattr(again, name)).all()
    assert (first.prompt_item != other.prompt_item).any()
