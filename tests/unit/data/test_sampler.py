from itertools import islice

import numpy as np
import pytest

from tests.unit.data.fixtures import make_items, sampler_options
from valle.data.draws import TRAINED
from valle.data.sampler import Cursor, plan_epoch, turns
from warehouse.errors import TrainingError


def rows_of(turn):
    return [(turn.batch.epoch, int(row)) for row in turn.batch.rows]


def test_an_epoch_has_every_row_once():
    plan = plan_epoch(make_items(3000), sampler_options(), 0)
    assert sorted(np.concatenate([batch.rows for batch in plan.batches])) == list(range(3000))


@pytest.mark.parametrize("epoch", [0, 1])
def test_padding_is_under_five_percent_on_realistic_lengths(epoch):
    plan = plan_epoch(make_items(3000), sampler_options(batch_tokens=8000), epoch)
    assert plan.padding_fraction < 0.05


def test_no_batch_exceeds_its_budget_unless_it_is_a_single_row():
    plan = plan_epoch(make_items(2000), sampler_options(batch_tokens=2000), 0)
    assert all(batch.num_slots <= 2000 or len(batch.rows) == 1 for batch in plan.batches)
    assert any(len(batch.rows) == 1 for batch in plan.batches)
    assert any(batch.num_slots > 1800 and len(batch.rows) > 1 for batch in plan.batches)


def test_a_batch_holds_rows_of_one_layout():
    plan = plan_epoch(make_items(2000), sampler_options(masked_share=0.5, length_share=0.1), 0)
    for batch in plan.batches:
        assert {TRAINED[number] for number in plan.draws.layout[batch.rows]} == {batch.layout}
    assert {batch.layout.name for batch in plan.batches} == {
        "tts/ar",
        "tts/nar-len",
        "tts/nar",
        "len/tokens",
        "len/nar-len",
    }


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_ranks_are_disjoint_and_together_complete(world_size):
    items, options = make_items(1500), sampler_options()
    everything = [rows_of(turn) for turn in islice(turns(items, options, start=Cursor()), 6 * world_size)]
    shares = [
        [rows_of(turn) for turn in islice(turns(items, options, start=Cursor(), rank=rank, world_size=world_size), 6)]
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
    whole = list(islice(turns(items, options, start=Cursor(), **arguments), stop + 20))
    resumed = list(islice(turns(items, options, start=whole[stop - 1].after, **arguments), 20))
    assert [rows_of(turn) for turn in resumed] == [rows_of(turn) for turn in whole[stop:]]
    assert resumed[-1].after == whole[-1].after
    assert whole[-1].after.epoch > 0 or stop < 40


def test_resuming_deep_into_a_run_plans_one_epoch_only():
    items, options = make_items(400), sampler_options()
    turn = next(turns(items, options, start=Cursor(epoch=100_000, batch=5)))
    assert rows_of(turn)[0][0] == 100_000
    assert turn.after == Cursor(100_000, 6)


def test_batches_of_a_window_touch_only_its_row_groups():
    items = make_items(4000, seconds=np.full(4000, 3.0))
    plan = plan_epoch(items, sampler_options(window_rows=1000), 0)
    seen, rows = [], 0
    groups = set()
    for batch in plan.batches:
        item = plan.draws.item[batch.rows]
        groups |= set(zip(items.part[item], items.row_group[item], strict=True))
        rows += len(item)
        if rows % 1000 == 0:
            seen.append(len(groups))
            groups = set()
    assert len(seen) == 4
    assert max(seen) <= 6  # of 16


def test_batches_come_in_no_order_of_length():
    plan = plan_epoch(make_items(3000), sampler_options(), 0)
    lengths = np.array([batch.num_slots / len(batch.rows) for batch in plan.batches])
    assert abs(np.corrcoef(lengths[1:], lengths[:-1])[0, 1]) < 0.3


def test_a_set_whose_weights_are_all_zero_is_refused():
    with pytest.raises(TrainingError, match="weight 0"):
        plan_epoch(make_items(5, weight=0.0), sampler_options(), 0)


def test_an_empty_split_is_refused():
    with pytest.raises(TrainingError, match="no item"):
        make_items(0)
