import dataclasses
import json
from itertools import islice

import numpy as np
import pytest

from tests.unit.data.fixtures import make_items, sampler_options
from valle.data.cursor import Cursor
from valle.data.sampler import iterate_batches, padding_fraction, plan_epoch
from valle.tasks.registry import TASKS
from warehouse.errors import TrainingError


def rows_of(batch):
    """Epoch, item and copy of each row."""
    return [(batch.epoch, *row) for row in zip(batch.rows.item.tolist(), batch.rows.copy.tolist(), strict=True)]


def test_an_epoch_has_every_row_once():
    plan = plan_epoch(make_items(3000), sampler_options(), 0)
    assert sorted(np.concatenate([batch.rows.item for batch in plan])) == list(range(3000))


@pytest.mark.parametrize("epoch", [0, 1])
def test_padding_is_under_five_percent_on_realistic_lengths(epoch):
    plan = plan_epoch(make_items(3000), sampler_options(batch_tokens=8000), epoch)
    assert padding_fraction(plan) < 0.05


def test_no_batch_exceeds_its_budget_unless_it_is_a_single_row():
    plan = list(plan_epoch(make_items(2000), sampler_options(batch_tokens=2000), 0))
    assert all(batch.num_slots <= 2000 or len(batch.rows) == 1 for batch in plan)
    assert any(len(batch.rows) == 1 for batch in plan)
    assert any(batch.num_slots > 1800 and len(batch.rows) > 1 for batch in plan)


def test_a_batch_holds_rows_of_one_layout():
    plan = list(plan_epoch(make_items(2000), sampler_options(nar_len_ratio=0.5, length_ratio=0.1), 0))
    for batch in plan:
        assert {TASKS.layouts[number] for number in batch.rows.layout} == {batch.layout}
    assert {batch.layout.name for batch in plan} == {
        "tts/ar",
        "tts/nar-len",
        "tts/nar",
        "len/tokens",
        "len/nar-len",
    }


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_ranks_are_disjoint_and_together_complete(world_size):
    items, options = make_items(1500), sampler_options()
    everything = [rows_of(batch) for batch in islice(iterate_batches(items, options, start=Cursor()), 6 * world_size)]
    shares = [
        [
            rows_of(batch)
            for batch in islice(iterate_batches(items, options, start=Cursor(), rank=rank, world_size=world_size), 6)
        ]
        for rank in range(world_size)
    ]
    interleaved = [share[index] for index in range(6) for share in shares]
    assert interleaved == everything
    flat = [row for rows in everything for row in rows]
    assert len(set(flat)) == len(flat)


@pytest.mark.parametrize("stop", [1, 7, 40])
@pytest.mark.parametrize("world_size", [1, 2])
def test_a_cursor_resumes_with_exactly_the_batches_that_would_have_come(stop, world_size):
    items, options = make_items(400), sampler_options()
    arguments = {"rank": world_size - 1, "world_size": world_size}
    whole = list(islice(iterate_batches(items, options, start=Cursor(), **arguments), stop + 20))
    resumed = list(islice(iterate_batches(items, options, start=whole[stop - 1].after, **arguments), 20))
    assert [rows_of(batch) for batch in resumed] == [rows_of(batch) for batch in whole[stop:]]
    assert resumed[-1].after == whole[-1].after
    assert whole[-1].after.epoch > 0 or stop < 40


def test_resuming_deep_into_a_run_plans_one_epoch_only():
    items, options = make_items(400), sampler_options()
    batch = next(iterate_batches(items, options, start=Cursor(epoch=100_000)))
    assert rows_of(batch)[0][0] == batch.after.epoch == 100_000


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_tokens": 2000},
        {"batch_tokens": 16_000},
        {"length_ratio": 0.3, "transcription_ratio": 0.2},
        {"prompt_seconds": (1.0, 1.5)},
        {"codebook_schedule": "uniform"},
    ],
)
@pytest.mark.parametrize("stop", [3, 20])
def test_a_run_that_continues_with_other_options_trains_on_every_row_of_the_epoch_once(changes, stop):
    items, options = make_items(900), sampler_options(window_rows=300)
    before = list(islice(iterate_batches(items, options, start=Cursor()), stop))
    cursor, after = before[-1].after, []
    for batch in iterate_batches(items, sampler_options(window_rows=300, **changes), start=cursor):
        if batch.epoch:
            break
        after.append(batch)
    rows = [row for batch in before + after for row in rows_of(batch)]
    assert sorted(rows) == [(0, item, 0) for item in range(900)]


def test_a_cursor_survives_json_and_refuses_what_is_no_base64():
    cursor = Cursor(3, 600).within(np.arange(300) % 3 == 0)
    assert Cursor(**json.loads(json.dumps(dataclasses.asdict(cursor)))) == cursor
    assert cursor.is_done(300).tolist() == [index % 3 == 0 for index in range(300)]
    assert cursor.within(np.ones(300, dtype=bool)) == Cursor(3, 900)
    with pytest.raises(ValueError, match="base64"):
        Cursor(0, 0, "?")


def test_batches_of_a_window_touch_only_its_row_groups():
    items = make_items(4000, seconds=np.full(4000, 3.0))
    plan = plan_epoch(items, sampler_options(window_rows=1000), 0)
    seen, rows = [], 0
    groups = set()
    for batch in plan:
        item = batch.rows.item
        groups |= set(zip(items.file[item], items.row_group[item], strict=True))
        rows += len(item)
        if rows % 1000 == 0:
            seen.append(len(groups))
            groups = set()
    assert len(seen) == 4
    assert max(seen) <= 6  # of 16


def test_batches_come_in_no_order_of_length():
    plan = plan_epoch(make_items(3000), sampler_options(), 0)
    lengths = np.array([batch.num_slots / len(batch.rows) for batch in plan])
    assert abs(np.corrcoef(lengths[1:], lengths[:-1])[0, 1]) < 0.3


def test_a_set_whose_weights_are_all_zero_is_refused():
    with pytest.raises(TrainingError, match="weight 0"):
        next(plan_epoch(make_items(5, weight=0.0), sampler_options(), 0))


def test_an_empty_split_is_refused():
    with pytest.raises(TrainingError, match="no item"):
        make_items(0)
